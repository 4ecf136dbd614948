// The words that stand for settings, in files and in what --check prints.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/unreachable.h"
#include "forward/plan.h"

namespace sluice::config {

template <typename E>
struct Named {
  std::string_view name;
  E value;
};

inline constexpr Named<forward::Balance> kBalances[] = {
    {"round-robin", forward::Balance::kRoundRobin},
    {"least-connections", forward::Balance::kLeastConnections},
    {"client-hash", forward::Balance::kClientHash},
};
inline constexpr Named<forward::LogFormat> kLogFormats[] = {
    {"rinetd", forward::LogFormat::kRinetd},
    {"common", forward::LogFormat::kCommon},
    {"json", forward::LogFormat::kJson},
};
inline constexpr Named<forward::ProxyOut> kProxyVersions[] = {
    {"off", forward::ProxyOut::kOff},
    {"v1", forward::ProxyOut::kV1},
    {"v2", forward::ProxyOut::kV2},
};
inline constexpr Named<forward::Framing> kFramings[] = {
    {"none", forward::Framing::kNone},
    {"length16", forward::Framing::kLength16},
};
inline constexpr Named<relay::Mode> kRelayModes[] = {
    {"auto", relay::Mode::kAuto},
    {"copy", relay::Mode::kCopy},
    {"splice", relay::Mode::kSplice},
};

template <typename E, std::size_t N>
[[nodiscard]] std::string_view name_of(const Named<E> (&names)[N], E value) {
  for (const Named<E>& named : names) {
    if (named.value == value) return named.name;
  }
  unreachable("a setting without a name");
}

}  // namespace sluice::config
