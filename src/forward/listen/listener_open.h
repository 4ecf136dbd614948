// Opening one listening socket with all that accepted ones shall inherit: TCP_NODELAY, keep-alive
// and buffers are set here once, not on each connection.
//
// A port of ours is spread over the workers by SO_REUSEPORT, by which another process of the same
// user could share it unseen. So the first socket of a port is bound without it, which fails when
// anybody else has the port, and gets it before it listens; those beside it bind with it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "forward/listen/listener_key.h"
#include "forward/plan.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"
#include "wire/address.h"

namespace sluice::forward {

enum class Sharing : std::uint8_t { kFirst, kBesideOurOwn };

struct OpenedSocket {
  sys::KernelFd socket;
  wire::Endpoint bound;            // Of kUnix: nothing.
  bool multipath_refused = false;  // Plain TCP, as the kernel has no MPTCP.
};

// kAddress and kEverywhere. Not yet accepting anything when it fails.
[[nodiscard]] std::expected<OpenedSocket, sys::SetupError> open_inet_listener(
    sys::Kernel& kernel, const ListenerKey& spec, const SocketPlan& options, Sharing sharing);
// A socket file that nobody listens on is replaced.
[[nodiscard]] std::expected<sys::KernelFd, sys::SetupError> open_unix_listener(
    sys::Kernel& kernel, const std::string& path);

// Options for sockets that were opened by others.
void set_stream_options(const sys::KernelFd& socket, const SocketPlan& options);
void set_datagram_options(const sys::KernelFd& socket, const SocketPlan& options);

// Another descriptor of the same socket.
[[nodiscard]] std::expected<sys::KernelFd, sys::SetupError> duplicate(const sys::KernelFd& socket);

// "cannot listen on 0.0.0.0:80: Permission denied; ports below 1024 need root or …"
[[nodiscard]] std::string describe(const sys::SetupError& error, const ListenerKey& spec);

}  // namespace sluice::forward
