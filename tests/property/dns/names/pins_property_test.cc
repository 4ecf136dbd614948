// Pins against the plainest reading of their rules: lists, searched from end to end.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dns/names/pins.h"

namespace sluice::dns {
namespace {

using namespace std::chrono_literals;

constexpr PinLimits kLimits{.names_max = 5, .addresses_max = 3, .bytes_max = 1U << 20U};

class Model {
 public:
  struct Pin {
    std::uint32_t address = 0;
    Instant expires{};
  };
  struct Name {
    std::string text;
    std::vector<Pin> pins;
    int holders = 0;
  };

  bool pin(const std::string& text, std::uint32_t address, Instant expires) {
    auto at = find(text);
    if (at == names_.end()) {
      if (names_.size() >= kLimits.names_max) {
        const auto gone =
            std::ranges::find_if(names_, [](const Name& name) { return name.holders == 0; });
        if (gone == names_.end()) return false;
        names_.erase(gone);
      }
      names_.push_back({text, {}, 0});
    } else {
      std::rotate(at, at + 1, names_.end());  // Used last.
    }
    std::vector<Pin>& pins = names_.back().pins;
    const auto known = std::ranges::find(pins, address, &Pin::address);
    if (known != pins.end()) {
      known->expires = std::max(known->expires, expires);
      return true;
    }
    if (pins.size() >= kLimits.addresses_max) {
      pins.erase(std::ranges::min_element(pins, {}, &Pin::expires));
    }
    pins.push_back({address, expires});
    return true;
  }
  std::vector<std::pair<std::string, Instant>> names_of(std::uint32_t address) const {
    std::vector<std::pair<std::string, Instant>> found;
    for (const Name& name : names_) {
      const auto pin = std::ranges::find(name.pins, address, &Pin::address);
      if (pin != name.pins.end()) found.emplace_back(name.text, pin->expires);
    }
    std::ranges::sort(found);
    return found;
  }
  std::vector<Name>::iterator find(const std::string& text) {
    return std::ranges::find(names_, text, &Name::text);
  }
  std::vector<Name>& names() { return names_; }

 private:
  std::vector<Name> names_;  // The most recently used last.
};

std::string text_of(std::uint32_t number) { return "n" + std::to_string(number) + ".test"; }

RC_GTEST_PROP(PinsProperty, AreWhatPlainListsWouldBe, ()) {
  Pins pins(SipKey{3, 4}, kLimits);
  Model model;
  const Instant now{1000s};
  // Each expiry is another, so that it is plain which of them ends first.
  int step = 0;
  const auto count = *rc::gen::inRange(1, 200);
  for (int i = 0; i < count; ++i) {
    const std::uint32_t number = *rc::gen::inRange(0U, 8U);
    const std::uint32_t address = *rc::gen::inRange(0U, 6U);
    const auto name = wire::DomainName::from_text(text_of(number));
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
      case 1: {
        const Instant expires = now + Pins::kStep * ++step;
        const bool pinned = pins.pin(*name, wire::IpAddress::v4(address), expires, now).has_value();
        RC_ASSERT(pinned == model.pin(text_of(number), address, expires));
        break;
      }
      case 2:
        if (const auto id = pins.find(*name)) {
          auto known = model.find(text_of(number));
          RC_ASSERT(known != model.names().end());
          if (known->holders == 0) {
            pins.hold(*id);
            ++known->holders;
          } else {
            pins.release(*id);
            known->holders = 0;
            std::rotate(known, known + 1, model.names().end());
          }
        } else {
          RC_ASSERT(model.find(text_of(number)) == model.names().end());
        }
        break;
      case 3: {
        // Asked of both without a use: the order of several at once is nobody's promise.
        std::vector<std::pair<std::string, Instant>> found;
        for (const Model::Name& known : model.names()) {
          const auto id = pins.find(*wire::DomainName::from_text(known.text));
          RC_ASSERT(id.has_value());
          if (const auto expires = pins.expiry(*id, wire::IpAddress::v4(address))) {
            found.emplace_back(known.text, *expires);
          }
        }
        std::ranges::sort(found);
        RC_ASSERT(found == model.names_of(address));
        break;
      }
      default: break;
    }
    std::size_t all = 0;
    for (const Model::Name& known : model.names()) all += known.pins.size();
    RC_ASSERT(pins.names() == model.names().size() && pins.pins() == all);
  }
  for (std::uint32_t address = 0; address < 6; ++address) {
    std::vector<Pinned> out(Pins::kNamesOfAddressMax);
    out.resize(pins.names_of(wire::IpAddress::v4(address), out));
    std::vector<std::pair<std::string, Instant>> found;
    for (const Pinned& one : out) found.emplace_back(pins.name(one.name)->to_text(), one.expires);
    std::ranges::sort(found);
    RC_ASSERT(found == model.names_of(address));
  }
}

}  // namespace
}  // namespace sluice::dns
