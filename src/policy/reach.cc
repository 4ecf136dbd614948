#include "policy/reach.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/address_group.h"
#include "policy/routable.h"
#include "wire/ip/embedded_v4.h"
#include "wire/ip/nat64.h"

namespace sluice::policy {
namespace {

// Where clouds keep the credentials of their machines. An IPv6 address that ends in one of these
// is taken for it whatever its prefix, as the network may translate with a prefix that nobody told
// us: no other host has such an address but by intent, or once in 2^32.
constexpr std::array kMetadata{
    wire::IpAddress::v4(0xa9fe'a9fe),  // 169.254.169.254: most clouds
    wire::IpAddress::v4(0xa9fe'aa02),  // 169.254.170.2: containers of AWS
    wire::IpAddress::v4(0xa9fe'aa17),  // 169.254.170.23: pods of AWS
    wire::IpAddress::v4(0x6464'64c8),  // 100.100.100.200: Alibaba
    wire::IpAddress::v4(0xa83f'8110),  // 168.63.129.16: Azure
    wire::IpAddress::v4(0xc000'00c0),  // 192.0.0.192: Oracle
};

[[nodiscard]] bool ends_in_metadata(const wire::IpAddress& inside) {
  return std::find(kMetadata.begin(), kMetadata.end(), inside) != kMetadata.end();
}

// More than a whole family: the user meant these addresses.
[[nodiscard]] bool names_addresses(const PolicyRule& rule) {
  return rule.effect != Effect::kDeny && rule.origin == Origin::kUser &&
         (rule.rule.prefix.length > 0 || rule.subset == PolicyRule::Subset::kHost);
}

[[nodiscard]] bool is_denied_by_default(const wire::IpAddress& address) {
  return std::ranges::any_of(default_denials(),
                             [&](const wire::Prefix& prefix) { return prefix.contains(address); });
}

// The stricter of two. A refusal outranks a question, and the floor other refusals.
[[nodiscard]] Reached stricter(const Reached& a, const Reached& b) {
  const auto weight = [](const Reached& r) {
    return (r.floor ? 4 : 0) + (r.verdict != Verdict::kAccepted ? 2 : 0) + (r.ask ? 1 : 0);
  };
  return weight(b) > weight(a) ? b : a;
}

}  // namespace

Reached Reach::look(Protocol protocol, const wire::Endpoint& target) const {
  Reached found = look_at_one(protocol, target);
  if (target.address.is_v4()) return found;
  for (const wire::IpAddress& inside : wire::EmbeddedV4(target.address, nat64_)) {
    found = stricter(found, look_at_one(protocol, {inside, target.port}));
  }
  const wire::IpAddress last = wire::nat64_embedded(target.address, 96);
  return ends_in_metadata(last) ? stricter(found, look_at_one(protocol, {last, target.port}))
                                : found;
}

Reached Reach::look_at_one(Protocol protocol, const wire::Endpoint& target) const {
  if (is_never_routable(target.address)) return {.verdict = Verdict::kNotRoutable, .floor = true};
  const bool own = host_ == HostAddresses::kRefused &&
                   std::binary_search(own_.begin(), own_.end(), target.address);
  const Decision decision = policy_->decide(protocol, target, own ? OnHost::kYes : OnHost::kNo);
  const bool opened = decision.rule != nullptr && names_addresses(*decision.rule);
  // What no rule matches is not denied by default: these are rules, too.
  const bool denied = decision.rule != nullptr && is_denied_by_default(target.address);
  Reached reached{.floor = !opened && (own || denied),
                  .ask = decision.effect == Effect::kAsk,
                  .rule = decision.rule};
  if (decision.effect == Effect::kDeny) {
    reached.verdict =
        decision.rule == nullptr ? Verdict::kAddressUnlisted : Verdict::kDeniedByPolicy;
  }
  // A user's own denial of an address of the host is told as that.
  if (own && !opened && (decision.rule == nullptr || decision.effect != Effect::kDeny)) {
    reached.verdict = Verdict::kHostAddress;
  }
  return reached;
}

void Reach::set_host_addresses(std::vector<wire::IpAddress> addresses) {
  own_ = std::move(addresses);
  std::sort(own_.begin(), own_.end());
}

void Reach::add_nat64_prefix(const wire::Prefix& prefix) {
  if (nat64_.size() >= kNat64Max) return;
  if (std::find(nat64_.begin(), nat64_.end(), prefix) == nat64_.end()) nat64_.push_back(prefix);
}

}  // namespace sluice::policy
