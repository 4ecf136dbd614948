#include "app/compat/slirp4netns/slirp_draft.h"

#include <fmt/core.h>

#include <limits>
#include <utility>

#include "app/options/interface_name.h"
#include "app/options/number_option.h"
#include "app/options/raw_options.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

// Offsets within the network, of IPv4 and in hexadecimal of IPv6.
constexpr std::uint32_t kGateway = 2;
constexpr std::uint32_t kDns = 3;
constexpr std::uint32_t kGuest = 100;

void describe_network(const SlirpDraft& draft, flow::GuestNetwork& network) {
  const auto nth = [&](std::uint32_t number) {
    return wire::IpAddress::v4(draft.network.v4_value() + number);
  };
  network.guest_v4 = nth(kGuest);
  network.gateway_v4 = nth(kGateway);
  network.dns_v4 = nth(kDns);
  network.prefix_length_v4 = draft.bits;
  network.ipv6 = draft.ipv6;
  network.guest_v6 = *wire::parse_ip("fd00::100");
  network.gateway_v6 = *wire::parse_ip("fd00::2");
  network.dns_v6 = *wire::parse_ip("fd00::3");
  network.dns = !draft.no_dns;
  if (draft.mac) network.guest_mac = *draft.mac;
}

[[nodiscard]] Checked check_together(const SlirpDraft& draft) {
  if (draft.mac && !draft.configure) return fail("--macaddress is only for --configure");
  if (draft.exit_fd && draft.exit_fd == draft.ready_fd) {
    return fail("--exit-fd: this is the descriptor of --ready-fd; expected another");
  }
  const bool tap_given = draft.bess || draft.netns_type == NetnsType::kTapFd;
  const std::string_view how = draft.bess ? "--target-type=bess" : "--netns-type=tapfd";
  if (tap_given && draft.configure) {
    return fail("--configure: with {} there is no interface that we could bring up", how);
  }
  if (draft.bess && draft.netns_type_given) return fail("--netns-type: {} has no namespace", how);
  if (tap_given && !draft.userns_path.empty()) {
    return fail("--userns-path: {} has no namespace", how);
  }
  const std::size_t wanted = tap_given ? 1 : 2;
  if (draft.words.size() < wanted) {
    return fail("expected {}", draft.bess  ? "PATH, of the socket that User Mode Linux connects to"
                               : tap_given ? "FD, a descriptor of a tap"
                                           : "PID and TAPNAME, as in 'slirp4netns -c 1234 tap0'");
  }
  return {};
}

[[nodiscard]] Checked read_interface(const std::string& name, SlirpOptions& options) {
  if (!is_interface_name(name) || name == "lo") {
    return fail(
        "'{}' cannot name the interface; expected 1 to 15 characters without '/', ':', '%' or "
        "spaces, and not 'lo'",
        name);
  }
  options.guest.interface = name;
  return {};
}

[[nodiscard]] Checked read_target(const SlirpDraft& draft, SlirpOptions& options) {
  const std::string& word = draft.words.front();
  if (draft.bess) {
    options.target = SlirpOptions::Target::kBessSocket;
    options.bess_socket = word;
    if (word.empty()) return fail("the path of the socket is empty");
    return {};
  }
  if (draft.netns_type == NetnsType::kTapFd) {
    options.target = SlirpOptions::Target::kTap;
    const auto number = parse_number<int>("FD", word, 0, std::numeric_limits<int>::max());
    if (!number) return std::unexpected(number.error());
    options.tap_fd = *number;
    return {};
  }
  options.names.user = draft.userns_path;
  if (draft.netns_type == NetnsType::kPath) {
    if (word.empty()) return fail("the path of the namespace is empty");
    options.names.network = word;
  } else {
    const auto process = parse_number<pid_t>("PID", word, 1, std::numeric_limits<pid_t>::max());
    if (!process) return std::unexpected(process.error());
    options.names.process = *process;
  }
  return read_interface(draft.words[1], options);
}

}  // namespace

std::expected<SlirpOptions, Mistake> finish_slirp_options(SlirpDraft draft) {
  if (auto ok = check_together(draft); !ok) return std::unexpected(ok.error());
  SlirpOptions options;
  RawOptions raw;
  if (draft.mtu) {
    raw.values[static_cast<std::size_t>(OptionId::kMtu)].push_back(fmt::to_string(*draft.mtu));
  }
  if (!draft.ipv6) raw.values[static_cast<std::size_t>(OptionId::kOnlyV4)].emplace_back();
  if (auto ok = read_namespace_options(raw, options.guest); !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = read_target(draft, options); !ok) return std::unexpected(ok.error());
  const std::size_t taken = options.target == SlirpOptions::Target::kNamespace ? 2 : 1;
  for (std::size_t i = taken; i < draft.words.size(); ++i) {
    options.doubts.push_back(fmt::format("'{}' is one word too many", draft.words[i]));
  }
  describe_network(draft, options.guest.network);
  // slirp4netns leads to all of the host, and to its loopback by the gateway.
  options.guest.host_addresses = true;
  options.guest.host_loopback = !draft.no_host_loopback;
  options.guest.outbound = draft.outbound;
  options.configure = draft.configure;
  options.ready_fd = draft.ready_fd;
  options.exit_fd = draft.exit_fd;
  options.api_socket = std::move(draft.api_socket);
  return options;
}

}  // namespace sluice::app
