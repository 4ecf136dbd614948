#include "policy/reach.h"

#include <algorithm>
#include <array>
#include <utility>

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
[[nodiscard]] bool names_addresses(const PolicyRule* rule) {
  return rule != nullptr && rule->action == Action::kAllow && rule->origin == Origin::kUser &&
         rule->rule.prefix.length > 0;
}

}  // namespace

Verdict Reach::judge(Protocol protocol, const wire::Endpoint& target) const {
  const Verdict outer = judge_one(protocol, target);
  if (outer != Verdict::kAccepted || target.address.is_v4()) return outer;
  for (const wire::IpAddress& inside : wire::EmbeddedV4(target.address, nat64_)) {
    const Verdict inner = judge_one(protocol, {inside, target.port});
    if (inner != Verdict::kAccepted) return inner;
  }
  const wire::IpAddress last = wire::nat64_embedded(target.address, 96);
  return ends_in_metadata(last) ? judge_one(protocol, {last, target.port}) : outer;
}

Verdict Reach::judge_one(Protocol protocol, const wire::Endpoint& target) const {
  if (is_never_routable(target.address)) return Verdict::kNotRoutable;
  const Decision decision = policy_->decide(protocol, target);
  if (decision.verdict != Verdict::kAccepted) return decision.verdict;
  if (host_ == HostAddresses::kOpen || names_addresses(decision.rule)) return Verdict::kAccepted;
  return std::binary_search(own_.begin(), own_.end(), target.address) ? Verdict::kHostAddress
                                                                      : Verdict::kAccepted;
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
