// The ports at which the processes of a network namespace wait for clients, as its kernel tells
// them (sock_diag(7)).
//
// The kernel tells nobody without privileges that a socket begins to listen, so whoever wants to
// know asks now and then: it costs some microseconds. Owns its descriptor, which belongs to the
// namespace in which it was opened. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::netlink {

class ListeningPorts {
 public:
  enum class Kind : std::uint8_t { kTcp, kUdp };

  // Sockets that one answer tells of, at most. Who has more is told of those alone.
  static constexpr std::size_t kSocketsMax = 16 * 1024;

  // In the network namespace of the calling thread. An error as well where the kernel cannot tell
  // (it has no inet_diag).
  [[nodiscard]] static std::expected<ListeningPorts, sys::SysError> open();
  // One that was opened elsewhere.
  explicit ListeningPorts(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] UniqueFd take() && { return std::move(fd_); }

  // TCP sockets that listen, or UDP sockets that are bound and have no peer: where, each once,
  // sorted; one at all addresses of both families at those of each. Never blocks.
  [[nodiscard]] std::expected<std::vector<wire::Endpoint>, sys::SysError> ask(Kind kind);

 private:
  [[nodiscard]] std::expected<void, sys::SysError> send_request(Kind kind, std::uint8_t family);
  [[nodiscard]] std::expected<void, sys::SysError> read_answer(std::vector<wire::Endpoint>& found);

  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace sluice::netlink
