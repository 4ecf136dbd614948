// Where a client of the host's loopback that wrote to a published port of UDP is led: to the
// guest's address and the loopbacks of both families, one after the other, until somebody answers.
// What it wrote is kept meanwhile, since who is not there says so only once he was written to.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/time.h"
#include "flow/core/action.h"
#include "flow/udp/held_datagrams.h"
#include "wire/address.h"

namespace sluice::flow {

class GuestCall {
 public:
  // What a datagram of the guest's kernel to itself has.
  static constexpr std::uint8_t kHopLimit = 64;

  // `port` of the guest's; the loopback of the client's own family comes before the other one.
  GuestCall(bool loopback_first, wire::IpFamily family, wire::Port port) {
    const wire::Endpoint own{wire::IpAddress::loopback(family), port};
    const wire::Endpoint other{wire::IpAddress::loopback(other_family(family)), port};
    if (loopback_first) {
      places_ = {own, other, std::nullopt};
    } else {
      places_ = {std::nullopt, own, other};
    }
  }

  // At the loopback of the client's own family.
  [[nodiscard]] const wire::Endpoint& own() const { return *places_[own_place()]; }
  void go_to_own() { at_ = own_place(); }

  // Of the place that it is led to now; nothing: the guest's address, by the link.
  [[nodiscard]] const std::optional<wire::Endpoint>& server() const { return places_[at_]; }
  // False: nobody is left to be asked, and it begins anew.
  [[nodiscard]] bool next() {
    at_ = (at_ + 1) % places_.size();
    return at_ != 0;
  }
  void restart() { at_ = 0; }

  UdpId socket{};         // To server(), once it was asked for.
  bool is_open = false;   // ... and the driver has it.
  bool answered = false;  // By server().
  // What the client wrote last, until somebody answers, and since when.
  HeldDatagrams held;
  Instant held_since{};

 private:
  [[nodiscard]] static wire::IpFamily other_family(wire::IpFamily family) {
    return family == wire::IpFamily::kV4 ? wire::IpFamily::kV6 : wire::IpFamily::kV4;
  }

  [[nodiscard]] std::size_t own_place() const { return places_.front() ? 0 : 1; }

  std::array<std::optional<wire::Endpoint>, 3> places_;
  std::size_t at_ = 0;
};

}  // namespace sluice::flow
