// A non-blocking TCP socket of the host. It moves bytes and reports; flow/ decides.
//
// Owns its descriptor. Not thread-safe. Would-block is a result, not an error.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "host/outbound.h"
#include "sys/io_result.h"
#include "sys/kernel.h"
#include "sys/socket_options.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

struct TcpOptions {
  bool nodelay = true;
  bool keepalive = true;
  // Urgent bytes stay in the stream, where they are (SO_OOBINLINE). A read ends in front of each
  // all the same: what is behind it is there for the next one.
  bool urgent_inline = false;
  bool guarded = false;  // As guard(), from before it is connected.
  // The address to connect from; the system's choice if none.
  std::optional<wire::IpAddress> source = std::nullopt;
  std::optional<std::uint32_t> mark = std::nullopt;  // SO_MARK; needs CAP_NET_ADMIN.
  std::uint32_t scope_id = 0;                        // Interface index of a link-local target.
  int receive_buffer = 0;  // SO_RCVBUF in bytes; 0 leaves it to auto-tuning.
};

class TcpSocket {
 public:
  TcpSocket() = default;  // Holds no socket; only for slots that are filled later.

  // A socket with all its options, for start_connect().
  [[nodiscard]] static std::expected<TcpSocket, sys::SysError> open(sys::Kernel& kernel,
                                                                    wire::IpFamily family,
                                                                    const TcpOptions& options = {});
  // Before start_connect().
  [[nodiscard]] std::expected<void, sys::SysError> leave_by(const Outbound::Way& way);
  // Wait for writable, then ask connect_result().
  [[nodiscard]] std::expected<void, sys::SysError> start_connect(const wire::Endpoint& target,
                                                                 std::uint32_t scope_id = 0);
  // Both in one.
  [[nodiscard]] static std::expected<TcpSocket, sys::SysError> connect(
      sys::Kernel& kernel, const wire::Endpoint& target, const TcpOptions& options = {});
  // Takes over a connected, non-blocking socket, as accept4() gives it, and sets nodelay and
  // keepalive.
  [[nodiscard]] static TcpSocket adopt(sys::KernelFd fd, const TcpOptions& options = {});
  // The same of one that has the options already, since its listener has.
  [[nodiscard]] static TcpSocket inherit(sys::KernelFd fd, const TcpOptions& options);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }

  // Whether the peer has answered, and has not reset the connection since. To a peer on this
  // machine the handshake is over when start_connect() returns, and to ask is cheaper than a turn
  // of a loop.
  [[nodiscard]] bool is_established() const;
  // To its peer and back, as the kernel has measured it; zero: it has not.
  [[nodiscard]] Duration round_trip() const;
  // Once writable: how the connect ended. Later: the pending asynchronous error (SO_ERROR), which
  // reading clears. The SysError is {kConnect, errno}.
  [[nodiscard]] std::expected<void, sys::SysError> connect_result();

  // Bytes taken by the kernel. Zero means "full, wait for writable". At most IOV_MAX parts.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> send(std::span<const iovec> parts);

  // Copies without consuming. Starts at the peek offset where one is set.
  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> peek(std::span<const iovec> parts);
  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> read(std::span<const iovec> parts);
  // Consumes `count` received bytes without a copy; lowers the peek offset by as much. Fewer only
  // where the queue holds no more.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> discard(std::size_t count);

  // SO_PEEK_OFF: where the next peek() starts; each peek moves it on. -1 turns it off.
  [[nodiscard]] std::expected<void, sys::SysError> set_peek_offset(int offset);

  // From here on the kernel resets the connection should this process die: a FIN would pass for the
  // end of a stream that is only half told. shutdown_write() and close() put an end to that.
  void guard();
  [[nodiscard]] bool guarded() const { return guarded_; }

  [[nodiscard]] std::expected<void, sys::SysError> shutdown_write();
  // Closes with a RST (SO_LINGER of zero seconds).
  void reset();
  // Closes in the ordinary way; unsent bytes still go out.
  void close();
  // As close(), after shutdown_write(): once the peer has all, the kernel forgets the connection
  // within seconds, and answers whatever the peer still sends with a RST.
  void close_and_forget();

  // Bytes the peer has not acknowledged, sent or not (SIOCOUTQ), plus an unacknowledged FIN.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> unacknowledged_bytes();
  // Bytes received and not yet consumed (SIOCINQ).
  [[nodiscard]] std::expected<std::size_t, sys::SysError> readable_bytes();
  void keep_alive(const sys::KeepAlive& times) { sys::prefer_keepalive(fd_, times); }
  // Keep-alive probes, or probes of a closed window, in a row that nobody has answered.
  [[nodiscard]] std::expected<std::uint32_t, sys::SysError> unanswered_probes();
  // A deaf socket hears nothing of what its peer sends but a RST, and so answers nothing: the peer
  // repeats itself and draws its own conclusions.
  void set_deaf(bool deaf);
  // SO_SNDBUF as the kernel accounts it: its own overhead included.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> send_buffer_size();

  [[nodiscard]] std::expected<wire::Endpoint, sys::SysError> local_endpoint() const;

 private:
  explicit TcpSocket(sys::KernelFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> receive(std::span<const iovec> parts,
                                                                      int flags);

  void end_guard();

  [[no_unique_address]] sys::KernelFd fd_;
  bool guarded_ = false;
};

// What a socket takes of the options after it was opened. Those of a listener are inherited by all
// that it accepts.
void prefer_tcp_options(const sys::KernelFd& fd, const TcpOptions& options);

// Whether TCP of this kernel knows SO_PEEK_OFF (Linux 6.9 and later). Opens and closes a socket.
[[nodiscard]] bool peek_offset_supported(sys::Kernel& kernel, wire::IpFamily family);

}  // namespace sluice::host
