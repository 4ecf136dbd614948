// Outgoing stream sockets with everything a port forwarder may set on them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "host/tcp_socket.h"
#include "sys/kernel.h"
#include "sys/socket_options.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

struct StreamOptions {
  std::optional<sys::KeepAlive> keepalive = std::nullopt;  // Nothing: off.
  // Where to connect from; port 0: the kernel chooses one.
  std::optional<wire::Endpoint> source = std::nullopt;
  std::uint32_t scope_id = 0;    // Interface index of a link-local target, and source.
  bool transparent = false;      // IP_TRANSPARENT: `source` need not be ours. CAP_NET_ADMIN.
  std::string_view device = {};  // SO_BINDTODEVICE; empty: any.
  std::optional<std::uint32_t> mark = std::nullopt;  // SO_MARK; CAP_NET_ADMIN.
  bool fast_open = false;            // The first bytes go with the SYN, and failures come then.
  bool multipath = false;            // MPTCP; plain TCP where the kernel has none.
  std::uint32_t receive_buffer = 0;  // Bytes; 0: auto-tuned.
  std::uint32_t send_buffer = 0;
};

enum class ConnectProgress : std::uint8_t {
  kEstablished,
  kInProgress,  // Wait for writable, then ask connect_outcome().
};

struct StartedConnect {
  TcpSocket socket;
  ConnectProgress progress = ConnectProgress::kInProgress;
};

// With TCP_NODELAY. An option that was asked for and is refused is an error, except for buffers,
// keep-alive and fast open, which change nothing but speed.
[[nodiscard]] std::expected<StartedConnect, sys::SysError> connect_stream(
    sys::Kernel& kernel, const wire::Endpoint& target, const StreamOptions& options);

// How a connect in progress ended, once its socket is writable.
enum class ConnectOutcome : std::uint8_t {
  kEstablished,
  // And then reset by the target, whose bytes before the reset wait to be read: a target that is
  // busy answers so. The socket's error is taken by the question, so a read behind these bytes
  // shows an end of stream instead of the reset.
  kEstablishedThenReset,
  kFailed,
};
struct ConnectReport {
  ConnectOutcome outcome = ConnectOutcome::kFailed;
  int error = 0;  // errno of the last two.
};
[[nodiscard]] ConnectReport connect_outcome(TcpSocket& socket);

// A UNIX stream socket; '@' first stands for the abstract namespace (unix(7)). Never in progress:
// a listener whose queue is full is EAGAIN.
[[nodiscard]] std::expected<StartedConnect, sys::SysError> connect_unix(sys::Kernel& kernel,
                                                                        std::string_view path);

}  // namespace sluice::host
