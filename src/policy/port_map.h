// Published ports: which port of the host leads to which port of the guest.
//
//   8080:80                    TCP on every address of the host
//   127.0.0.1:8080:80/tcp      on one address
//   [::1]:5353:53/udp          IPv6 needs brackets
//   8000-8010:80-90            ranges of the same size
//   0:80                       a port that is free: the host's kernel picks it
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "policy/protocol.h"
#include "wire/address.h"

namespace sluice::policy {

// What becomes of a port of the host that another program has, or that needs privileges.
enum class IfTaken : std::uint8_t {
  kFail,      // Nothing is published, and nobody served.
  kTell,      // It is left out, with a word.
  kLeaveOut,  // It is left out.
};

struct PortMap {
  Protocol protocol = Protocol::kTcp;      // kTcp or kUdp
  std::optional<wire::IpAddress> address;  // Where the host listens; nothing: everywhere.
  wire::Port host_first;                   // 0, of one port alone: whichever is free.
  wire::Port guest_first;
  std::uint16_t count = 1;  // Ports in each range.
  std::string interface{};  // Only what comes in there; empty: by any. No text of ours names one.
  bool freebind = false;    // `address` need not be the host's, or not yet.
  IfTaken if_taken = IfTaken::kFail;
  // One of the guest's other addresses; nothing: its own. No text of ours names one.
  std::optional<wire::IpAddress> guest_address{};

  [[nodiscard]] bool has_guest_port(Protocol of, wire::Port port) const {
    return protocol == of && port.value >= guest_first.value &&
           port.value - guest_first.value < count;
  }
  friend bool operator==(const PortMap&, const PortMap&) = default;
};

// `expected` completes the sentence "'TEXT' is not a port to publish; expected …".
struct PortMapError {
  std::string expected;
};

[[nodiscard]] std::expected<PortMap, PortMapError> parse_port_map(std::string_view text);

// The shortest text that parses to the same map, but for what no text names.
[[nodiscard]] std::string to_string(const PortMap& map);

// True when both would listen on one port of the host: same protocol, a port in common, the same
// address or one of them everywhere, and the same interface or one of them by any. A port that is
// yet to be picked is nobody's.
[[nodiscard]] bool collide(const PortMap& a, const PortMap& b);

}  // namespace sluice::policy
