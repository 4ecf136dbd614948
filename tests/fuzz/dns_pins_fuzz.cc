// Answers of a hostile resolver to a guest that asks for hostile names, into pins: bounds hold,
// what the guest gets is a message, and no address is pinned that the policy does not let a name
// lead to.
//
// Input, again and again: kind, pick, length (2 bytes), message.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "dns/dns_query.h"
#include "dns/names/name_book.h"
#include "flow/judge/dns_judge.h"
#include "flow/judge/reachable.h"
#include "policy/egress/egress_policy.h"
#include "policy/reach.h"
#include "require.h"
#include "wire/byte_cursor.h"

namespace {

using namespace sluice;

constexpr dns::PinLimits kLimits{.names_max = 8, .addresses_max = 4, .bytes_max = 6000};

policy::EgressPolicy make_policy() {
  policy::EgressDraft draft{.fallback = policy::Effect::kDeny};
  for (const std::string_view text : {"ok.test:443", "*.wild.test:443", "b.test:80"}) {
    draft.rules.push_back({policy::parse_egress_target(text).value(),
                           {.id = "allow", .effect = policy::Effect::kAllow}});
  }
  draft.rules.push_back({policy::parse_egress_target("denied.test").value(),
                         {.id = "deny", .effect = policy::Effect::kDeny}});
  return policy::EgressPolicy::compile(std::move(draft)).value();
}

class Harness {
 public:
  Harness() { judge_.set_policy(policy_); }

  void step(wire::ByteReader& input) {
    const std::uint8_t kind = input.u8();
    const std::uint8_t pick = input.u8();
    const ByteView taken = input.take(std::min<std::size_t>(input.u16(), input.rest().size()));
    const auto view = wire::DnsView::parse(taken);
    switch (kind % 4) {
      case 0:
        if (view && view->question()) query(*view->question());
        break;
      case 1: answer(taken); break;
      case 2: now_ += std::chrono::seconds(pick) * 64; break;
      case 3:
        if (const auto id = pins_.find(name(pick))) {
          if ((pick & 1U) != 0) {
            pins_.hold(*id);
          } else {
            pins_.release(*id);
          }
        }
        break;
    }
    require(pins_.names() <= kLimits.names_max &&
                pins_.pins() <= kLimits.names_max * kLimits.addresses_max &&
                pins_.bytes_held() <= kLimits.bytes_max,
            "pins stay within their bounds");
    judge_.refused().clear();
  }

 private:
  // What workers share, without the sharing, so that its bounds can be seen.
  class Book final : public dns::NameBook {
   public:
    explicit Book(dns::Pins& pins) : pins_(pins) {}
    std::optional<dns::NameId> pin(const wire::DomainName& name, const wire::IpAddress& address,
                                   Instant expires, Instant now) override {
      require(flow::is_public_through(address, {}), "only public addresses are pinned");
      return pins_.pin(name, address, expires, now);
    }
    void note(const wire::DomainName& name, const wire::IpAddress& address, Instant now) override {
      pins_.note(name, address, now);
    }
    std::size_t names_of(const wire::IpAddress& address, std::span<dns::Pinned> out) override {
      return pins_.names_of(address, out);
    }
    [[nodiscard]] std::optional<Instant> expiry(dns::NameId id,
                                                const wire::IpAddress& address) const override {
      return pins_.expiry(id, address);
    }
    [[nodiscard]] std::optional<dns::NameId> find(const wire::DomainName& name) const override {
      return pins_.find(name);
    }
    [[nodiscard]] std::optional<wire::DomainName> name(dns::NameId id) const override {
      return dns::SyntheticNames::is_synthetic(id) ? synthetic_.name(id) : pins_.name(id);
    }
    std::optional<dns::NameId> give_synthetic(const wire::DomainName& name,
                                              dns::SyntheticUse use) override {
      return synthetic_.give(name, use);
    }
    [[nodiscard]] std::optional<dns::NameId> synthetic_at(
        const wire::IpAddress& address) const override {
      return synthetic_.at(address);
    }
    void hold(dns::NameId id) override { pins_.hold(id); }
    void release(dns::NameId id) override { pins_.release(id); }
    [[nodiscard]] bool spend(const wire::DomainName& domain, const wire::DomainName& name,
                             const dns::BudgetLimits& limits, Instant now) override {
      return budget_.spend(domain, name, limits, now);
    }
    [[nodiscard]] std::size_t pins() const override { return pins_.pins(); }

   private:
    dns::Pins& pins_;
    dns::SyntheticNames synthetic_{SipKey{7, 8}};
    dns::NameBudget budget_{SipKey{5, 6}};
  };

  static wire::DomainName name(std::uint8_t pick) {
    constexpr std::array<std::string_view, 4> kNames{"ok.test", "b.test", "a.wild.test",
                                                     "denied.test"};
    return *wire::DomainName::from_text(kNames[pick % kNames.size()]);
  }

  void query(const wire::DnsQuestion& question) {
    const auto local = judge_.judge_query(question, now_);
    if (!local) return;
    require(local->rcode == wire::DnsRcode::kNoError || local->rcode == wire::DnsRcode::kNxDomain,
            "no answer that makes a guest wait");
  }

  void answer(ByteView message) {
    const auto view = wire::DnsView::parse(message);
    if (!view || !dns::has_plain_question(*view)) return;
    if (judge_.judge_query(*view->question(), now_)) return;
    const dns::JudgedAnswer judged = judge_.judge_answer(*view, now_);
    if (judged.instead || judged.changed.empty()) return;
    const auto changed = wire::DnsView::parse(judged.changed);
    require(changed && *changed->question() == *view->question(), "the question stays");
    for (auto records = changed->records(); !records.done();) {
      const auto record = records.next();
      require(record.has_value(), "what is written anew can be read");
      if (const auto address = wire::dns_address(*record)) {
        require(flow::is_public_through(*address, {}), "the guest gets public addresses alone");
      }
    }
  }

  policy::EgressPolicy policy_ = make_policy();
  policy::Reach reach_{policy_.addresses()};
  flow::DropCounters drops_;
  dns::Pins pins_{SipKey{3, 4}, kLimits};
  Book book_{pins_};
  flow::GuestNetwork network_;
  flow::RefusalBookOf<dns::NoLock> refusals_;
  flow::DnsJudge judge_{reach_, {book_, refusals_}, drops_, network_};
  Instant now_{std::chrono::seconds{1000}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ByteReader input(ByteView(data, size));
  Harness harness;
  while (!input.empty()) harness.step(input);
  return 0;
}
