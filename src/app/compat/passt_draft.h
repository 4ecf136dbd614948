// What the command line of passt, or of pasta, has said so far: words of ours where one means the
// same, and what no word of ours says.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/compat/passt_common.h"
#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
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

// What passt alone has words for.
struct PasstMachineWords {
  std::optional<std::string> socket;  // Nothing: not said, and not needed with --fd.
  bool vhost_user = false;
};

// What pasta alone has words for.
struct PastaNamespaceWords {
  std::string network;  // --netns
  std::string user;     // --userns
  bool only_network = false;
  bool stays = false;  // --no-netns-quit
  bool configures = false;
  bool splices = true;
};

struct PasstDraft {
  RawOptions raw;
  PasstCommon done;
  PasstMachineWords machine;
  PastaNamespaceWords target;

  std::optional<std::uint8_t> netmask;  // Bits; nothing: by the class of the address (RFC 4632).
  std::optional<wire::MacAddress> gateway_mac;
  std::optional<wire::MacAddress> guest_mac;
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
  std::vector<policy::PortMap> tcp_ports;
  std::vector<policy::PortMap> udp_ports;
  std::vector<serve::FollowedPorts> follow;  // Of "auto".
  bool tcp_given = false;
  bool udp_given = false;

  void flag(OptionId id) { raw.values[static_cast<std::size_t>(id)].emplace_back(); }
  void value(OptionId id, std::string_view text) {
    raw.values[static_cast<std::size_t>(id)].emplace_back(text);
  }
  void differs(std::string sentence) { done.differences.push_back(std::move(sentence)); }
};

// The guest's addresses as words of ours, which are to be read then.
void add_address_words(PasstDraft& draft);

// What was read of these words, and all else that was said of a guest, put together and checked.
[[nodiscard]] std::expected<void, Mistake> complete_guest(PasstDraft& draft, GuestOptions& guest);

}  // namespace sluice::app
