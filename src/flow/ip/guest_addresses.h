// Which addresses the guest has. It is offered one of each family, and may take another of the same
// subnet: by SLAAC (RFC 4862) it makes its own, and a person may have set one. What begins on the
// host goes to the offered one once that has been seen, and before to the newest that was.
#pragma once

#include <array>

#include "flow/core/guest_network.h"
#include "wire/address.h"

namespace sluice::flow {

class GuestAddresses {
 public:
  // Whether nothing is to be learned any more.
  [[nodiscard]] bool knows(wire::IpFamily family) const { return seen_[index(family)]; }
  // An address that the guest uses, or asks whether it may (RFC 4862, 5.4). Not one of ours.
  void learn(const GuestNetwork& network, const wire::IpAddress& address) {
    const std::size_t at = index(address.family());
    if (seen_[at] || address == other_[at]) return;
    if (address == offered(network, address.family())) {
      seen_[at] = true;
    } else if (network.on_subnet(address)) {
      other_[at] = address;
    }
  }

  // What another has learned; its news are the newer ones.
  void merge(const GuestAddresses& news) {
    for (std::size_t at = 0; at < seen_.size(); ++at) {
      seen_[at] = seen_[at] || news.seen_[at];
      if (news.other_[at] != wire::IpAddress{}) other_[at] = news.other_[at];
    }
  }
  friend bool operator==(const GuestAddresses&, const GuestAddresses&) = default;

  // Where what is meant for `address` goes to.
  [[nodiscard]] wire::IpAddress taken(const GuestNetwork& network,
                                      const wire::IpAddress& address) const {
    const std::size_t at = index(address.family());
    const bool other = !seen_[at] && other_[at] != wire::IpAddress{};
    return other && address == offered(network, address.family()) ? other_[at] : address;
  }
  // The offered address that `address` was taken in the place of.
  [[nodiscard]] wire::IpAddress meant(const GuestNetwork& network,
                                      const wire::IpAddress& address) const {
    return address == other_[index(address.family())] ? offered(network, address.family())
                                                      : address;
  }

 private:
  [[nodiscard]] static std::size_t index(wire::IpFamily family) {
    return family == wire::IpFamily::kV4 ? 0 : 1;
  }
  [[nodiscard]] static const wire::IpAddress& offered(const GuestNetwork& network,
                                                      wire::IpFamily family) {
    return family == wire::IpFamily::kV4 ? network.guest_v4 : network.guest_v6;
  }

  std::array<bool, 2> seen_{};  // The offered one.
  std::array<wire::IpAddress, 2> other_{};
};

}  // namespace sluice::flow
