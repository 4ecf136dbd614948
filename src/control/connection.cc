#include "control/connection.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "control/run_address.h"
#include "sys/sys_error.h"
#include "sys/unix_socket.h"

namespace sluice::control {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kReadSize = 64 * 1024;
// A line of an answer is far shorter.
constexpr std::size_t kAnswerMax = 16 * 1024 * 1024;

}  // namespace

std::expected<Connection, std::string> Connection::open(std::string_view run) {
  auto own = open_of(::getuid(), run);
  if (own || ::getuid() != 0) return own;
  for (const UserRun& one : list_user_runs()) {
    if (one.run != run || one.uid == 0) continue;
    if (auto other = open_of(one.uid, run)) return other;
  }
  return own;
}

bool Connection::is_own() const { return user_ == ::getuid(); }

std::expected<Connection, std::string> Connection::open_of(uid_t user, std::string_view run) {
  const auto address = sys::unix_sockaddr(socket_name(user, run));
  if (!address) return std::unexpected(fmt::format("'{}' is not the name of a run", run));
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return std::unexpected(fmt::format("socket: {}", sys::errno_text(errno)));
  Connection connection(std::move(socket), user, run);
  connection.set_patience(kPatience);
  const int fd = connection.fd();
  if (::connect(fd, address->get(), address->length) != 0) {
    if (errno == ECONNREFUSED) return std::unexpected(fmt::format("there is no run '{}'", run));
    return std::unexpected(fmt::format("run '{}': {}", run, sys::errno_text(errno)));
  }
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
      (peer.uid != user && peer.uid != 0)) {
    return std::unexpected(fmt::format("'{}' is another user's", run));
  }
  return connection;
}

void Connection::set_patience(std::chrono::seconds patience) {
  const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
  (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool Connection::send(std::string_view line) {
  while (!line.empty()) {
    const ssize_t sent = ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    line.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::expected<std::string_view, std::string> Connection::read_line() {
  input_.erase(0, std::exchange(taken_, 0));
  std::size_t scanned = 0;
  while (true) {
    const std::size_t end = input_.find('\n', scanned);
    if (end != std::string::npos) {
      taken_ = end + 1;
      return std::string_view(input_).substr(0, end);
    }
    scanned = input_.size();
    if (scanned > kAnswerMax) return std::unexpected("the answer has no end");
    input_.resize(scanned + kReadSize);
    const ssize_t got = ::recv(socket_.get(), input_.data() + scanned, kReadSize, 0);
    const int error = errno;
    input_.resize(scanned + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got > 0 || (got < 0 && error == EINTR)) continue;
    if (got == 0) return std::unexpected("the run has ended");
    return std::unexpected(error == EAGAIN ? "the run does not answer" : sys::errno_text(error));
  }
}

}  // namespace sluice::control
