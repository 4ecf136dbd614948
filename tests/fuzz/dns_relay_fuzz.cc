// A stream of queries, answers, errors and ticks, all hostile: the relay's bounds hold, every slot
// it opens is closed once, and nothing is left when time has passed.
//
// Input, again and again: kind, slot to pick, length (2 bytes), message.
#include <algorithm>
#include <deque>
#include <iterator>
#include <set>
#include <vector>

#include "dns/dns_names.h"
#include "dns/dns_relay.h"
#include "require.h"
#include "wire/byte_cursor.h"

namespace {

using namespace sluice;

constexpr dns::DnsRelayLimits kLimits{
    .pending_max = 8,
    .clients_per_question_max = 3,
    .clients_max = 12,
    .cache = {.entries_max = 16, .bytes_max = 20'000},
};

class Harness {
 public:
  Harness() { set_resolvers(2); }

  void set_resolvers(std::size_t count) {
    std::vector<wire::Endpoint> list;
    for (std::uint32_t i = 0; i < count; ++i) {
      list.push_back({wire::IpAddress::v4(0x0a00'0000 + i), wire::Port{53}});
    }
    relay_.set_resolvers(list);
  }

  void step(wire::ByteReader& input) {
    const std::uint8_t kind = input.u8();
    const std::uint8_t pick = input.u8();
    const ByteView taken = input.take(std::min<std::size_t>(input.u16(), input.rest().size()));
    std::vector<std::uint8_t> message(taken.begin(), taken.end());
    switch (kind % 6) {
      case 0: (void)relay_.on_query(client(pick), message, now_, actions_); break;
      case 1:
      case 2: {
        // An answer with the right id gets past the first check.
        const dns::DnsSlot slot = pick_slot(pick);
        if ((kind & 0x80) == 0 && message.size() >= 3 && !sent_.empty()) {
          const auto& query = sent_[pick % sent_.size()];
          std::copy_n(query.begin(), 2, message.begin());
          message[2] |= 0x80;
        }
        if (kind % 6 == 1) {
          relay_.on_upstream_udp(slot, message, now_, actions_);
        } else {
          relay_.on_upstream_tcp(slot, message, now_, actions_);
        }
        break;
      }
      case 3: relay_.on_upstream_error(pick_slot(pick), now_, actions_); break;
      case 4:
        now_ += std::chrono::milliseconds(pick) * 16;
        relay_.on_timer(now_, actions_);
        break;
      case 5: set_resolvers(pick % 4); break;
    }
    drain();
  }

  void finish() {
    now_ += dns::DnsRelay::kGiveUpAfter;
    relay_.on_timer(now_, actions_);
    drain();
    require(relay_.pending() == 0 && open_.empty() && relay_.next_deadline() == kNever,
            "nothing is left when time has passed");
  }

 private:
  static dns::DnsClient client(std::uint8_t pick) {
    if (pick >= 0xc0) return {.endpoint = {}, .asked = {}, .stream = {SlabHandle{pick % 4U, 1}}};
    return {
        .endpoint = {wire::IpAddress::v4(pick % 4U), wire::Port{pick}}, .asked = {}, .stream = {}};
  }

  dns::DnsSlot pick_slot(std::uint8_t pick) const {
    if (open_.empty()) return {pick};
    auto at = open_.begin();
    std::advance(at, pick % open_.size());
    return {*at};
  }

  void opened(dns::DnsSlot slot, const std::vector<std::uint8_t>& message) {
    require(open_.insert(slot.value).second, "a slot is opened once");
    require(message.size() >= wire::kDnsHeaderSize, "an upstream query has a header");
    sent_.push_back(message);
    if (sent_.size() > 8) sent_.pop_front();
  }

  void drain() {
    for (const dns::DnsAction& action : actions_) {
      if (const auto* udp = std::get_if<dns::OpenDnsUdp>(&action)) opened(udp->slot, udp->message);
      if (const auto* tcp = std::get_if<dns::OpenDnsTcp>(&action)) opened(tcp->slot, tcp->message);
      if (const auto* close = std::get_if<dns::CloseDns>(&action)) {
        require(open_.erase(close->slot.value) == 1, "a slot is closed once");
      }
      if (const auto* answer = std::get_if<dns::DnsAnswer>(&action)) {
        const auto view = wire::DnsView::parse(answer->message);
        require(view.has_value() && view->header().response, "an answer is a DNS response");
        names_.learn(*view);
      }
    }
    actions_.clear();
    require(open_.size() == relay_.pending() && relay_.pending() <= kLimits.pending_max,
            "one open slot a pending question, within the bound");
    require(relay_.clients() <= kLimits.clients_max, "clients stay within the bound");
    require(relay_.cache().entries() <= kLimits.cache.entries_max,
            "cache entries stay within the bound");
    require(relay_.cache().bytes_held() <= kLimits.cache.bytes_max,
            "cache bytes stay within the bound");
    require(names_.size() <= 8, "names stay within the bound");
  }

  dns::DnsRelay relay_{SipKey{1, 2}, kLimits};
  dns::DnsNames names_{SipKey{3, 4}, 8};
  dns::DnsRelay::Actions actions_;
  std::set<std::uint32_t> open_;
  std::deque<std::vector<std::uint8_t>> sent_;
  Instant now_{std::chrono::seconds{1}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ByteReader input(ByteView(data, size));
  Harness harness;
  while (!input.empty()) harness.step(input);
  harness.finish();
  return 0;
}
