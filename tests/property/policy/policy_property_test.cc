// The index against the plainest reading of the rules: look at all of them, keep the best.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "policy/policy.h"

namespace sluice::policy {
namespace {

// Few distinct bits, so that prefixes nest, repeat and touch.
wire::IpAddress make_address(bool v4, std::uint32_t bits) {
  if (v4) return wire::IpAddress::v4(((bits & 0xf0U) << 24) | (bits & 0x0fU));
  std::array<std::uint8_t, 16> octets{};
  octets[0] = static_cast<std::uint8_t>(bits & 0xf0U);
  octets[8] = static_cast<std::uint8_t>((bits >> 8) & 0xc0U);
  octets[15] = static_cast<std::uint8_t>(bits & 0x0fU);
  return wire::IpAddress::v6(FixedView<16>(octets));
}

rc::Gen<std::uint32_t> bits_gen() {
  return rc::gen::element<std::uint32_t>(0, 0x10, 0x80, 0xf0, 0xff, 0x0f, 0x01, 0x8081, 0xc0f0,
                                         0xffff, 0x4008);
}

Rule make_rule(bool v4, std::uint32_t bits, unsigned length, std::vector<std::uint16_t> ports,
               std::optional<Protocol> protocol) {
  const unsigned longest = v4 ? 32 : 128;
  const std::string address = wire::to_string(make_address(v4, bits));
  std::string text =
      (v4 ? address : "[" + address + "]") + "/" + std::to_string(length % (longest + 1));
  char separator = ':';
  for (std::size_t i = 0; i + 1 < ports.size(); i += 2) {
    const auto [low, high] = std::minmax(ports[i], ports[i + 1]);
    text += separator + std::to_string(low) + "-" + std::to_string(high);
    separator = ',';
  }
  if (protocol && (*protocol != Protocol::kIcmp || ports.size() < 2)) {
    text += "/" + std::string(to_string(*protocol));
  }
  return parse_rule(text).value();
}

rc::Gen<std::vector<Rule>> rules_gen() {
  const auto ports = rc::gen::container<std::vector<std::uint16_t>>(
      rc::gen::element<std::uint16_t>(1, 2, 79, 80, 81, 443, 65'534, 65'535));
  return rc::gen::container<std::vector<Rule>>(rc::gen::apply(
      make_rule, rc::gen::arbitrary<bool>(), bits_gen(),
      rc::gen::element(0U, 1U, 4U, 8U, 28U, 31U, 32U, 63U, 64U, 65U, 66U, 127U, 128U), ports,
      rc::gen::element<std::optional<Protocol>>(std::nullopt, std::nullopt, Protocol::kTcp,
                                                Protocol::kUdp, Protocol::kIcmp)));
}

bool speaks_of(const Rule& rule, Protocol protocol, const wire::Endpoint& target) {
  if (rule.prefix.address.is_v4() != target.address.is_v4()) return false;
  if (!rule.prefix.contains(target.address)) return false;
  if (rule.protocol && *rule.protocol != protocol) return false;
  if (!rule.names_ports()) return true;
  if (protocol == Protocol::kIcmp) return false;
  return std::any_of(rule.ports.begin(), rule.ports.end(), [&](const PortRange& range) {
    return range.first <= target.port.value && target.port.value <= range.last;
  });
}

Effect plain_decision(const Policy& policy, Protocol protocol, const wire::Endpoint& target) {
  const PolicyRule* best = nullptr;
  const auto weight = [](const PolicyRule& r) {
    return std::tuple(-int{r.rule.prefix.length}, r.rule.port_count(), !r.rule.protocol,
                      r.origin == Origin::kDefault, -static_cast<int>(r.effect));
  };
  for (const PolicyRule& rule : policy.rules()) {
    if (!speaks_of(rule.rule, protocol, target)) continue;
    if (best == nullptr || weight(rule) < weight(*best)) best = &rule;
  }
  return best == nullptr ? policy.fallback() : best->effect;
}

RC_GTEST_PROP(PolicyProperty, DecidesAsLookingAtEveryRuleDoes, ()) {
  const Policy policy(*rules_gen(), *rules_gen());
  const auto protocol = *rc::gen::element(Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp);
  for (int i = 0; i < 20; ++i) {
    const wire::Endpoint target{
        make_address(*rc::gen::arbitrary<bool>(), *bits_gen()),
        wire::Port{*rc::gen::element<std::uint16_t>(0, 1, 2, 3, 79, 80, 81, 82, 443, 65'535)}};
    RC_ASSERT(policy.decide(protocol, target).effect == plain_decision(policy, protocol, target));
  }
}

RC_GTEST_PROP(PolicyProperty, ARuleIsReadBackFromItsText, ()) {
  for (const Rule& rule : *rules_gen()) {
    const auto again = parse_rule(to_string(rule));
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == rule);
  }
}

}  // namespace
}  // namespace sluice::policy
