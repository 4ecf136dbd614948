// What passt's command line has said so far: words of ours where one means the same, and what no
// word of ours says.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/compat/passt_options.h"
#include "app/compat/passt_ports.h"
#include "app/options/raw_options.h"
#include "flow/core/guest_network.h"
#include "host/outbound.h"

namespace sluice::app {

// One for each family; the later one of a family counts.
struct PasstAddresses {
  std::optional<wire::IpAddress> v4;
  std::optional<wire::IpAddress> v6;

  void set(const wire::IpAddress& address) { (address.is_v4() ? v4 : v6) = address; }
};

struct PasstDraft {
  RawOptions raw;
  PasstOptions done;

  std::optional<std::string> socket;  // Nothing: not said, and not needed with --fd.
  bool vhost_user = false;
  std::optional<std::uint8_t> netmask;  // Bits; nothing: by the class of the address (RFC 4632).
  std::optional<wire::MacAddress> gateway_mac;
  flow::GuestServices services;
  PasstAddresses guest;
  std::vector<wire::IpAddress> resolvers;  // --dns
  PasstAddresses dns_forward;
  std::vector<wire::IpAddress> dns_host;
  std::optional<std::vector<std::string>> search;
  bool map_gateway = true;
  PasstAddresses loopback;  // --map-host-loopback
  PasstAddresses alias;     // --map-guest-addr
  std::string host_name;
  std::string full_name;
  host::Outbound outbound;
  bool freebind = false;
  EphemeralPorts ephemeral;
  std::vector<policy::PortMap> tcp_ports;
  std::vector<policy::PortMap> udp_ports;
  bool udp_given = false;

  void flag(OptionId id) { raw.values[static_cast<std::size_t>(id)].emplace_back(); }
  void value(OptionId id, std::string_view text) {
    raw.values[static_cast<std::size_t>(id)].emplace_back(text);
  }
  void differs(std::string sentence) { done.differences.push_back(std::move(sentence)); }
};

// Everything that was said, put together and checked.
[[nodiscard]] std::expected<PasstOptions, Mistake> finish_passt_options(PasstDraft draft);

}  // namespace sluice::app
