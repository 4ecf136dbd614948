// Which program of this host has a port: for the word on why we cannot have it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wire/address.h"

namespace sluice::host {

enum class PortKind : std::uint8_t { kTcp, kUdp };

struct PortHolder {
  int process = 0;
  std::string name;  // Of the process, as its kernel has it (proc(5), comm).
};

// Who listens at `endpoint`, or at a place that takes it in. Nothing where that is not for us to
// see: a process of somebody else's, or one in another PID namespace. Looks at all processes, which
// takes a while (proc_net_tcp.rst in the kernel's documentation; proc(5), fd).
[[nodiscard]] std::optional<PortHolder> holder_of(const wire::Endpoint& endpoint, PortKind kind);

// "'nginx' (process 812) has this port", or "another program has this port".
[[nodiscard]] std::string holder_text(const wire::Endpoint& endpoint, PortKind kind);

}  // namespace sluice::host
