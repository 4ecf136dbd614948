// What slirp4netns' command line has said so far, and what it comes to.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "app/compat/slirp4netns/slirp_options.h"
#include "app/options/early_exit.h"
#include "host/outbound.h"
#include "wire/address.h"

namespace sluice::app {

// What the first word names.
enum class NetnsType : std::uint8_t { kPid, kPath, kTapFd };

struct SlirpDraft {
  std::vector<std::string> words;  // Those that belong to no option.
  bool configure = false;
  std::optional<int> exit_fd;
  std::optional<int> ready_fd;
  std::optional<std::uint16_t> mtu;
  bool ipv6 = false;
  std::string api_socket;
  wire::IpAddress network = wire::IpAddress::v4(0x0a00'0200);
  std::uint8_t bits = 24;
  bool no_host_loopback = false;
  NetnsType netns_type = NetnsType::kPid;
  bool netns_type_given = false;
  std::string userns_path;
  host::Outbound outbound;
  bool no_dns = false;
  std::optional<wire::MacAddress> mac;
  bool bess = false;
};

// Everything that was said, put together and checked.
[[nodiscard]] std::expected<SlirpOptions, Mistake> finish_slirp_options(SlirpDraft draft);

}  // namespace sluice::app
