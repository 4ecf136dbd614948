#include "box/device/stream_end.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace sluice::box {
namespace {

using Parts = std::array<iovec, StreamEnd::kPiecesMax>;

// As many pieces as fit, and as many bytes; returns how many pieces.
template <typename Piece>
std::size_t gather(std::span<const Piece> pieces, std::size_t bytes_max, Parts& parts) {
  std::size_t count = 0;
  for (const Piece& piece : pieces) {
    if (count == parts.size() || bytes_max == 0) break;
    const std::size_t length = std::min(piece.size(), bytes_max);
    parts[count++] = {const_cast<std::uint8_t*>(piece.data()), length};
    bytes_max -= length;
  }
  return count;
}

msghdr message_of(Parts& parts, std::size_t count) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  return message;
}

}  // namespace

StreamEnd::StreamEnd(sys::Kernel& kernel, int shared, UniqueFd own, Kind kind)
    : kernel_(&kernel),
      shared_(shared),
      own_(std::move(own)),
      nothing_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
      kind_(kind) {}

void StreamEnd::give_up() {
  own_.reset();
  if (::dup3(nothing_.get(), shared_, O_CLOEXEC) >= 0) kind_ = Kind::kFile;
}

StreamEnd StreamEnd::open(sys::Kernel& kernel, int fd, StreamWay way) {
  struct stat status{};
  const mode_t type = ::fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
  if (type == S_IFSOCK) return {kernel, fd, UniqueFd(), Kind::kSocket};
  if (type != S_IFIFO && type != S_IFCHR) return {kernel, fd, UniqueFd(), Kind::kFile};
  const int access = way == StreamWay::kInput ? O_RDONLY : O_WRONLY;
  UniqueFd own(::open(fmt::format("/proc/self/fd/{}", fd).c_str(),
                      access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (own.valid()) return {kernel, fd, std::move(own), Kind::kOwn};
  return {kernel, fd, UniqueFd(), Kind::kShared};
}

std::expected<sys::ReadResult, sys::SysError> StreamEnd::read(std::span<const MutableBytes> into) {
  Parts parts;
  const std::size_t count = gather(into, SIZE_MAX, parts);
  if (count == 0) return sys::ReadResult{};
  msghdr message = message_of(parts, count);
  const ssize_t length = kind_ == Kind::kSocket
                             ? kernel_->recvmsg(fd(), &message, MSG_DONTWAIT)
                             : kernel_->readv(fd(), parts.data(), static_cast<int>(count));
  if (length > 0) {
    return sys::ReadResult{sys::ReadStatus::kData, static_cast<std::size_t>(length)};
  }
  if (length == 0) return sys::ReadResult{sys::ReadStatus::kEndOfStream, 0};
  if (sys::would_block(errno)) return sys::ReadResult{};
  return std::unexpected(sys::last_error(sys::SysOp::kRead));
}

std::expected<std::size_t, sys::SysError> StreamEnd::write(std::span<const ByteView> bytes) {
  Parts parts;
  const std::size_t count = gather(bytes, kind_ == Kind::kShared ? kVouchedFor : SIZE_MAX, parts);
  if (count == 0) return std::size_t{0};
  const msghdr message = message_of(parts, count);
  const ssize_t length = kind_ == Kind::kSocket
                             ? kernel_->sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                             : kernel_->writev(fd(), parts.data(), static_cast<int>(count));
  if (length >= 0) return static_cast<std::size_t>(length);
  if (sys::would_block(errno)) return std::size_t{0};
  return std::unexpected(sys::last_error(sys::SysOp::kWrite));
}

}  // namespace sluice::box
