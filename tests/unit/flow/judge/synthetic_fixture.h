// A guest that goes to addresses which stand for names, in IPv4 or IPv6, and the resolver that is
// asked where they lead.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {

class SyntheticFixture : public NamesFixture {
 protected:
  static constexpr auto kAsk = policy::Effect::kAsk;
  static inline const policy::DnsPolicy kSynthetic{.answers = policy::DnsAnswers::kSynthetic,
                                                   .denied = policy::DeniedAnswer::kNxDomain};

  // What the resolver says of a name, in each family; a name that is not here does not exist.
  struct Zone {
    std::vector<dns::test::Record> v4{};
    std::vector<dns::test::Record> v6{};
  };
  std::map<std::string, Zone> zone{{"ok.test", {{{"203.0.113.1"}}, {{"2001:db8::1"}}}}};

  // The guest's question; the address that it gets, or nothing.
  std::string stand_in(std::string_view name) {
    clear();
    asked_.clear();
    const wire::IpAddress ours = v4() ? network().dns_v4 : network().dns_v6;
    feed(udp_frame(network(), {guest_address(), {next_++}}, {ours, {53}},
                   dns::test::make_query(name, {.type = type(), .edns_size = 1232})));
    const Bytes answered = reply();
    note_questions();
    const auto view = wire::DnsView::parse(answered).value();
    ttl_ = 0;
    for (auto records = view.records(); !records.done();) {
      const auto record = records.next().value();
      const auto address = wire::dns_address(record);
      if (!address) continue;
      ttl_ = record.ttl;
      return wire::to_string(*address);
    }
    return {};
  }
  // Carries out what the engine carries out itself.
  void settle() {
    for (std::size_t i = 0; i < actions.size();) {
      const Action action = actions[i];
      if (engine().serve_own(action, {now, sink})) {
        actions.erase(actions.begin() + static_cast<std::ptrdiff_t>(i));
        collect();
      } else {
        ++i;
      }
    }
    note_questions();
  }
  // The resolver answers all that it was asked.
  void resolver_answers() {
    note_questions();
    for (const dns::OpenDnsUdp& open : std::exchange(open_, {})) {
      const auto question = wire::DnsView::parse(open.message).value().question().value();
      const auto found = zone.find(question.name.to_text());
      dns::test::AnswerOptions options;
      if (found == zone.end()) {
        options.rcode = wire::DnsRcode::kNxDomain;
      } else {
        options.records = question.type == wire::DnsType::kA ? found->second.v4 : found->second.v6;
      }
      engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp,
                             dns::test::make_answer(open.message, options), {now, sink});
      collect();
    }
    settle();
  }
  void note_questions() {
    for (const dns::DnsAction& action : engine().dns_actions()) {
      const auto* open = std::get_if<dns::OpenDnsUdp>(&action);
      if (open == nullptr) continue;
      open_.push_back(*open);
      asked_.push_back(
          wire::DnsView::parse(open->message).value().question().value().name.to_text());
    }
    engine().dns_actions().clear();
  }
  // How a flow of TCP begins, as far as the first address that is tried for it.
  std::vector<wire::Endpoint> dial(const std::string& address, std::uint16_t port) {
    syn_to(address, port);
    resolver_answers();
    std::vector<wire::Endpoint> targets;
    for (const auto& connect : all<ConnectTcp>()) targets.push_back(connect.target);
    return targets;
  }
  void syn_to(const std::string& address, std::uint16_t port) {
    clear();
    guest_end_ = {guest_address(), {next_++}};
    remote_end_ = {ip(address), {port}};
    feed(GuestSegment{.guest = guest_end_,
                      .remote = remote_end_,
                      .sequence = wire::SeqNum{999},
                      .flags = wire::kSyn});
    settle();
  }
  [[nodiscard]] const TcpFlow* dialed() {
    return tcp().find(FlowKey{guest_end_, remote_end_, wire::IpProtocol::kTcp});
  }
  // The host connected, the guest answered; its first bytes follow.
  void guest_says(const Bytes& bytes) {
    const TcpFlow* flow = dialed();
    ASSERT_NE(flow, nullptr);
    if (const auto* begun = std::get_if<Connecting>(&flow->state); begun != nullptr) {
      tcp().on_connected(flow->id, 64 * 1024, {now, sink});
      collect();
    }
    ASSERT_FALSE(frames.empty());
    GuestSegment segment{.guest = guest_end_,
                         .remote = remote_end_,
                         .sequence = wire::SeqNum{1000},
                         .acknowledgment = frames.back().tcp().sequence() + 1,
                         .payload = bytes};
    clear();
    feed(segment);
    settle();
  }
  [[nodiscard]] wire::Endpoint real(int number, std::uint16_t port) const {
    return {ip(at(number)), {port}};
  }

  std::vector<std::string> asked_;
  std::uint32_t ttl_ = 0;
  wire::Endpoint guest_end_{};
  wire::Endpoint remote_end_{};
  std::uint16_t next_ = 30'000;

 private:
  std::vector<dns::OpenDnsUdp> open_;
};

}  // namespace sluice::flow::test
