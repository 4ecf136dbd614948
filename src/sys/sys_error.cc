#include "sys/sys_error.h"

#include <fmt/core.h>
#include <string.h>

#include "base/unreachable.h"

namespace sluice::sys {

std::string_view name_of(SysOp op) {
  switch (op) {
    case SysOp::kSocket: return "socket";
    case SysOp::kConnect: return "connect";
    case SysOp::kBind: return "bind";
    case SysOp::kListen: return "listen";
    case SysOp::kAccept: return "accept";
    case SysOp::kGetSockName: return "getsockname";
    case SysOp::kGetSockOpt: return "getsockopt";
    case SysOp::kSetSockOpt: return "setsockopt";
    case SysOp::kSend: return "send";
    case SysOp::kReceive: return "receive";
    case SysOp::kErrorQueue: return "error queue";
    case SysOp::kShutdown: return "shutdown";
    case SysOp::kIoctl: return "ioctl";
    case SysOp::kEpollCreate: return "epoll_create";
    case SysOp::kEpollCtl: return "epoll_ctl";
    case SysOp::kEpollWait: return "epoll_wait";
    case SysOp::kSignalMask: return "sigprocmask";
    case SysOp::kSignalFd: return "signalfd";
    case SysOp::kOpen: return "open";
    case SysOp::kRead: return "read";
    case SysOp::kWrite: return "write";
    case SysOp::kClone: return "clone";
    case SysOp::kUnshare: return "unshare";
    case SysOp::kSocketPair: return "socketpair";
    case SysOp::kWait: return "wait";
    case SysOp::kKill: return "kill";
    case SysOp::kResourceLimit: return "setrlimit";
    case SysOp::kNetlink: return "netlink";
    case SysOp::kInterfaceIndex: return "interface index";
    case SysOp::kMount: return "mount";
    case SysOp::kPrctl: return "prctl";
    case SysOp::kCapabilities: return "capabilities";
    case SysOp::kSeccomp: return "seccomp";
  }
  unreachable("SysOp out of range");
}

std::string SysError::describe() const {
  return fmt::format("{}: {}", name_of(op), errno_text(error));
}

std::string errno_text(int error) {
  // strerrordesc_np() is thread-safe and ignores the locale.
  if (const char* text = ::strerrordesc_np(error); text != nullptr) return text;
  return fmt::format("error {}", error);
}

}  // namespace sluice::sys
