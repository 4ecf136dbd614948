// What the commands are asked whose guest is a network namespace: `sluice run` and `sluice attach`.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "policy/fast_path_use.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"
#include "serve/ports/followed_ports.h"

namespace sluice::app {

struct NamespaceOptions : GuestOptions {
  std::string interface = "tap0";
  policy::FastPathUse fast_path = policy::FastPathUse::kAuto;  // --fast-path
  std::vector<policy::PortMap> loopback;          // --tcp-ns, --udp-ns (serve::ServePlan).
  std::vector<serve::FollowedPorts> follow_host;  // ... as "auto".
  policy::LoopbackUse call_guest = policy::LoopbackUse::kWhereRefused;  // --host-lo-to-ns-lo
};

[[nodiscard]] std::expected<void, Mistake> read_namespace_options(const RawOptions& raw,
                                                                  NamespaceOptions& options);

}  // namespace sluice::app
