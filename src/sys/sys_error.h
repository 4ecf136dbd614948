// What a failed system call tells: which call, and errno. Small, trivially copyable.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::sys {

enum class SysOp : std::uint8_t {
  kSocket,
  kConnect,
  kBind,
  kListen,
  kAccept,
  kGetSockName,
  kGetSockOpt,
  kSetSockOpt,
  kSend,
  kReceive,
  kErrorQueue,
  kShutdown,
  kIoctl,
  kEpollCreate,
  kEpollCtl,
  kEpollWait,
  kSignalMask,
  kSignalFd,
  kOpen,
  kRead,
  kWrite,
  kClone,
  kUnshare,
  kSocketPair,
  kWait,
  kKill,
  kResourceLimit,
  kNetlink,
  kInterfaceIndex,
  kMount,
  kPrctl,
  kCapabilities,
  kSeccomp,
};

// The name people know the call by: "connect", "bind", ...
[[nodiscard]] std::string_view name_of(SysOp op);

struct SysError {
  SysOp op = SysOp::kSocket;
  int error = 0;

  // "connect: Connection refused"
  [[nodiscard]] std::string describe() const;
  friend bool operator==(const SysError&, const SysError&) = default;
};

// The text of an errno value, as "Connection refused".
[[nodiscard]] std::string errno_text(int error);

[[nodiscard]] inline SysError last_error(SysOp op) { return SysError{op, errno}; }

// The process or the system has no descriptor, buffer or memory left; the caller should pause
// rather than retry at once.
[[nodiscard]] constexpr bool is_exhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// There is nothing to take yet, or no room, or a signal came first: to be tried again.
[[nodiscard]] constexpr bool would_block(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace sluice::sys
