// The sockets that a rule listens on: one for each address and port, by name, not opened yet.
//
//   host "" or "*"   every address: a dual-stack socket at "::", or 0.0.0.0 where IPv6 is off
//   host "::"        as the system has it: IPv4 too, unless net.ipv6.bindv6only is set
//   host "0.0.0.0"   every IPv4 address
//   a name           every address that the system's resolver knows for it
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "forward/plan.h"
#include "wire/address.h"

namespace sluice::forward {

enum class ListenerKind : std::uint8_t {
  kAddress,
  kEverywhere,  // Dual-stack; `endpoint` has only the port.
  kUnix,
  kActivated,  // A socket that systemd opened.
};

struct ListenerKey {
  ListenerKind kind = ListenerKind::kAddress;
  policy::Protocol protocol = policy::Protocol::kTcp;
  wire::Endpoint endpoint;        // Port 0: any free one.
  std::uint32_t scope_id = 0;     // Interface index of a link-local address.
  std::string path;               // kUnix
  std::size_t activated = 0;      // kActivated: its position.
  std::uint16_t port_offset = 0;  // Into the rule's range of ports.
  std::size_t rule = 0;           // Position in Plan::rules.
  bool one_of_many = false;  // The name had several addresses: one that the host lacks is left out.
  // Equal keys are the same listener, over a reload and a hand-over: place, device and the options
  // that a listening socket has. One line of printable text.
  std::string key;
};

// "0.0.0.0:80", "*:80", "/run/x.sock": for messages.
[[nodiscard]] std::string place_text(const ListenerKey& spec);

// Of a rule that does not listen on activated sockets. The error is one line, without the rule.
[[nodiscard]] std::expected<std::vector<ListenerKey>, std::string> listener_keys(
    const Rule& rule, std::size_t rule_number);
// Of a rule that does; `position` is that of the socket.
[[nodiscard]] ListenerKey activated_spec(const Rule& rule, std::size_t rule_number,
                                         std::size_t position);

// "rules.conf:12: ", "rule 'web': " or "": what a message about a rule begins with.
[[nodiscard]] std::string message_prefix(const Rule& rule);

}  // namespace sluice::forward
