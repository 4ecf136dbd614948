// A listening TCP socket of the host: published ports. Owns its descriptor. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "host/tcp_socket.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

struct ListenOptions {
  // A socket bound to "::" takes IPv4 connections too.
  bool dual_stack = false;
  int backlog = 4096;
  bool freebind = false;      // IP_FREEBIND: an address that is not the host's, or not yet.
  std::string_view device{};  // Only connections that come in there; empty: by any.
  TcpOptions accepted{};      // Of all that it accepts.
};

struct AcceptedConnection {
  TcpSocket socket;
  wire::Endpoint peer;
};

class TcpListener {
 public:
  TcpListener() = default;  // Holds no socket; only for slots that are filled later.

  [[nodiscard]] static std::expected<TcpListener, sys::SysError> open(
      sys::Kernel& kernel, const wire::Endpoint& endpoint, const ListenOptions& options = {});

  // Takes over a listening, non-blocking socket.
  [[nodiscard]] static TcpListener adopt(sys::KernelFd fd, const TcpOptions& accepted);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  void close() { fd_.reset(); }
  [[nodiscard]] std::expected<wire::Endpoint, sys::SysError> local_endpoint() const;

  // As accept_from() (accept.h).
  [[nodiscard]] std::expected<std::optional<AcceptedConnection>, sys::SysError> accept();

 private:
  TcpListener(sys::KernelFd fd, const TcpOptions& accepted)
      : fd_(std::move(fd)), accepted_(accepted) {}

  sys::KernelFd fd_;
  TcpOptions accepted_;
};

}  // namespace sluice::host
