// An engine with a policy of names, and a guest that asks for names and begins flows, in IPv4 or
// IPv6.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/egress/egress_policy.h"
#include "unit/dns/dns_messages.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {

struct WrittenRule {
  policy::Effect effect;
  std::string_view target;
  std::vector<std::string_view> private_addresses{};
  std::optional<policy::SniUse> sni{};
};

inline policy::EgressPolicy make_policy(policy::Effect fallback,
                                        const std::vector<WrittenRule>& rules,
                                        const policy::DnsPolicy& dns = {}) {
  policy::EgressDraft draft{.fallback = fallback, .rules = {}, .dns = dns};
  for (const WrittenRule& written : rules) {
    policy::EgressRule rule{.id = "#" + std::to_string(draft.rules.size()),
                            .effect = written.effect,
                            .sni = written.sni};
    for (const std::string_view text : written.private_addresses) {
      rule.private_addresses.push_back(wire::parse_prefix(text).value());
    }
    draft.rules.push_back({policy::parse_egress_target(written.target).value(), std::move(rule)});
  }
  return policy::EgressPolicy::compile(std::move(draft)).value();
}

class NamesFixture : public TcpFixture, public testing::WithParamInterface<wire::IpFamily> {
 protected:
  static constexpr auto kAllow = policy::Effect::kAllow;
  static constexpr auto kDeny = policy::Effect::kDeny;
  using Verdict = policy::Verdict;

  // The policy of CONTROL's attacks.
  NamesFixture() {
    with(kDeny, {{kAllow, "ok.test:443"},
                 {kAllow, "*.wild.test:443"},
                 {kAllow, "plain.test:80"},
                 {kAllow, "ssh.test:22"}});
  }

  void with(policy::Effect fallback, const std::vector<WrittenRule>& rules,
            const policy::DnsPolicy& dns = {}) {
    policy_ = std::make_unique<policy::EgressPolicy>(make_policy(fallback, rules, dns));
    restart({.egress = policy_.get()});
    engine().set_resolvers({endpoint("192.0.2.53:53")});
  }
  // The policy changes while the engine lives.
  void change(policy::Effect fallback, const std::vector<WrittenRule>& rules) {
    auto next = std::make_unique<policy::EgressPolicy>(make_policy(fallback, rules));
    engine().use_policy(*next);
    policy_ = std::move(next);
  }

  [[nodiscard]] bool v4() const { return GetParam() == wire::IpFamily::kV4; }
  [[nodiscard]] wire::DnsType type() const {
    return v4() ? wire::DnsType::kA : wire::DnsType::kAaaa;
  }
  [[nodiscard]] wire::IpAddress guest_address() const {
    return v4() ? network().guest_v4 : network().guest_v6;
  }
  // A server, in the family that is tested.
  [[nodiscard]] std::string at(int number) const {
    return (v4() ? "203.0.113." : "2001:db8::") + std::to_string(number);
  }

  // A question by UDP; what is asked upstream, if anything is.
  std::optional<dns::OpenDnsUdp> ask(const Bytes& query,
                                     std::optional<wire::IpAddress> server = {}) {
    clear();
    const wire::IpAddress ours = v4() ? network().dns_v4 : network().dns_v6;
    feed(udp_frame(network(), {guest_address(), {next_port_++}}, {server.value_or(ours), {53}},
                   query));
    std::optional<dns::OpenDnsUdp> open;
    for (const dns::DnsAction& action : engine().dns_actions()) {
      if (const auto* udp = std::get_if<dns::OpenDnsUdp>(&action)) open = *udp;
    }
    engine().dns_actions().clear();
    return open;
  }
  std::optional<dns::OpenDnsUdp> ask(std::string_view name) {
    return ask(dns::test::make_query(name, {.type = type(), .edns_size = 1232}));
  }
  // What the guest gets when the resolver answers so.
  Bytes answer(const dns::OpenDnsUdp& open, const dns::test::AnswerOptions& options) {
    engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp,
                           dns::test::make_answer(open.message, options), {now, sink});
    collect();
    return reply();
  }
  Bytes reply() {
    EXPECT_EQ(frames.size(), 1u);
    if (frames.empty()) return {};
    const ByteView payload = frames.back().udp().payload();
    return {payload.begin(), payload.end()};
  }
  Bytes resolve(std::string_view name, const std::vector<std::string>& addresses,
                std::uint32_t ttl = 300) {
    const auto open = ask(name);
    EXPECT_TRUE(open) << name;
    if (!open) return {};
    dns::test::AnswerOptions options;
    for (const std::string& text : addresses) options.records.push_back({text, ttl});
    return answer(*open, options);
  }
  static wire::DnsHeader header(const Bytes& message) {
    return wire::DnsView::parse(message).value().header();
  }
  static std::size_t answers(const Bytes& message) { return header(message).answer_count; }
  // The reason in the EDNS record.
  static std::string why(const Bytes& message) {
    const auto view = wire::DnsView::parse(message).value();
    for (auto records = view.records(); !records.done();) {
      const auto record = records.next().value();
      if (record.type != wire::DnsType::kOpt || record.rdata.size() < 6) continue;
      return {record.rdata.begin() + 6, record.rdata.end()};
    }
    return {};
  }
  // A question that is answered at once; its rcode.
  wire::DnsRcode refused(std::string_view name) {
    EXPECT_FALSE(ask(name)) << name;
    return frames.empty() ? wire::DnsRcode::kServFail : header(reply()).rcode;
  }

  // How a flow of the guest's begins. The verdict of one that is let through is kAccepted.
  Verdict tcp_to(const std::string& address, std::uint16_t port) {
    clear();
    guest_ = {guest_address(), {next_port_++}};
    remote_ = {ip(address), {port}};
    feed(syn({.guest = guest_, .remote = remote_}));
    if (!all<ConnectTcp>().empty()) return Verdict::kAccepted;
    EXPECT_TRUE(all<ConnectTcp>().empty());
    return told();
  }
  [[nodiscard]] const TcpFlow* last_flow() {
    return tcp().find(FlowKey{guest_, remote_, wire::IpProtocol::kTcp});
  }
  [[nodiscard]] bool gated() { return last_flow() != nullptr && last_flow()->kept != nullptr; }
  Verdict udp_to(const std::string& address, std::uint16_t port) {
    clear();
    feed(udp_frame(network(), {guest_address(), {next_port_++}}, {ip(address), {port}},
                   stream(0, 8)));
    return datagrams.empty() && !is_sought() ? told() : Verdict::kAccepted;
  }
  Verdict ping_to(const std::string& address) {
    clear();
    feed(v4() ? ping_frame(network(), ip(address), next_port_++, 1, {}) : ping6(ip(address)));
    return pings.empty() && !is_sought() ? told() : Verdict::kAccepted;
  }
  // It was let through, and waits for where its name leads.
  [[nodiscard]] bool is_sought() const { return !all<FindTarget>().empty(); }
  Verdict told() {
    const auto reports = all<ReportFlow>();
    EXPECT_EQ(reports.size(), 1u);
    if (reports.empty()) return Verdict::kAccepted;
    summary_ = reports[0].summary;
    return summary_.verdict;
  }
  // The only frame is an ICMP error, of this type and code.
  [[nodiscard]] bool told_by_icmp(std::uint8_t type, std::uint8_t code) {
    if (frames.size() != 1) return false;
    const auto packet = frames.back().packet();
    const bool icmp =
        packet.protocol == wire::IpProtocol::kIcmp || packet.protocol == wire::IpProtocol::kIcmpv6;
    return icmp && packet.payload[0] == type && packet.payload[1] == code;
  }
  [[nodiscard]] bool told_prohibited() { return v4() ? told_by_icmp(3, 13) : told_by_icmp(1, 1); }
  [[nodiscard]] bool told_closed_port() { return v4() ? told_by_icmp(3, 3) : told_by_icmp(1, 4); }

  // What the first bytes of a flow of the guest's say.
  using Kind = Claim::Kind;
  Judged claim(const std::string& address, std::uint16_t port, Kind kind,
               std::string_view name = {}, bool encrypted = false) {
    Claim said{.kind = kind, .name = {}, .encrypted_hello = encrypted};
    if (!name.empty()) said.name = wire::DomainName::from_text(name);
    return engine().judge().judge_claim(
        {{guest_address(), {1}}, {ip(address), {port}}, wire::IpProtocol::kTcp}, {}, said, now);
  }
  Verdict tls(const std::string& address, std::string_view name, std::uint16_t port = 443) {
    return claim(address, port, Kind::kTls, name).verdict;
  }
  Verdict http(const std::string& address, std::string_view name) {
    return claim(address, 80, Kind::kHttp, name).verdict;
  }
  Verdict opaque(const std::string& address, std::uint16_t port) {
    return claim(address, port, Kind::kOpaque).verdict;
  }

  Bytes ping6(const wire::IpAddress& target) {
    Bytes echo{128,
               0,
               0,
               0,
               static_cast<std::uint8_t>(next_port_ >> 8),
               static_cast<std::uint8_t>(next_port_),
               0,
               1};
    ++next_port_;
    const std::uint32_t sum =
        wire::pseudo_header_sum(network().guest_v6, target, wire::IpProtocol::kIcmpv6, 8);
    put16<2>(MutableBytes(echo).first<8>(), wire::checksum_finish(wire::checksum_add(sum, echo)));
    return ip_frame(network(), network().guest_v6, target, wire::IpProtocol::kIcmpv6, echo);
  }

  FlowSummary summary_{};

 private:
  std::unique_ptr<policy::EgressPolicy> policy_;
  std::uint16_t next_port_ = 20'000;
  wire::Endpoint guest_{};
  wire::Endpoint remote_{};
};

}  // namespace sluice::flow::test
