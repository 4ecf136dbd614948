#include "web/run_link.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "control/run_address.h"
#include "sys/sys_error.h"
#include "sys/unix_socket.h"

namespace sluice::web {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;

}  // namespace

std::expected<RunLink, std::string> RunLink::open(std::string_view run) {
  const auto address = sys::unix_sockaddr(control::socket_name(::getuid(), run));
  if (!address) return std::unexpected("this is not the name of a run");
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return std::unexpected(fmt::format("socket: {}", sys::errno_text(errno)));
  // Of a UNIX socket it is done at once, or not at all.
  if (::connect(socket.get(), address->get(), address->length) != 0) {
    if (errno == ECONNREFUSED) return std::unexpected("the run has ended");
    if (errno == EAGAIN) return std::unexpected("the run has no time for another client");
    return std::unexpected(sys::errno_text(errno));
  }
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
      (peer.uid != ::getuid() && peer.uid != 0)) {
    return std::unexpected("the run is another user's");
  }
  return RunLink(std::move(socket));
}

bool RunLink::send(std::string_view line) {
  if (output_.size() + line.size() > kOutputMax) return false;
  output_ += line;
  return write();
}

bool RunLink::write() {
  while (!output_.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), output_.data(), output_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return sys::would_block(errno);
    output_.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

bool RunLink::read() {
  input_.erase(0, std::exchange(taken_, 0));
  const std::size_t had = input_.size();
  scanned_ = had;
  input_.resize(had + kReadSize);
  const ssize_t got = ::recv(socket_.get(), input_.data() + had, kReadSize, MSG_DONTWAIT);
  const int error = errno;
  input_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got < 0) return sys::would_block(error);
  return got > 0 && had <= kLineMax;
}

bool RunLink::take_line(std::string_view& line) {
  const std::size_t end = input_.find('\n', scanned_);
  if (end == std::string::npos) return false;
  line = std::string_view(input_).substr(taken_, end - taken_);
  taken_ = end + 1;
  scanned_ = taken_;
  return true;
}

}  // namespace sluice::web
