#include "forward/udp/udp_to_tcp.h"

#include <algorithm>

namespace sluice::forward {

bool UdpStream::push(ByteView datagram) {
  const bool framed = framing_ == Framing::kLength16;
  const std::size_t needed = datagram.size() + (framed ? kFrameHeader : 0);
  if (queue_.size() + needed > kQueueMax) return false;
  if (framed) queue_.append(frame_header(datagram.size()));
  queue_.append(datagram);
  if (needed > 0) ++waiting_;
  return true;
}

std::expected<std::size_t, sys::SysError> UdpStream::flush() {
  auto written = queue_.flush(socket_);
  if (queue_.empty()) waiting_ = 0;
  return written;
}

std::expected<sys::ReadResult, sys::SysError> UdpStream::read(MutableBytes room) {
  const std::size_t most =
      framing_ == Framing::kNone ? std::min(room.size(), kReadMax) : room.size();
  const iovec part{.iov_base = room.data(), .iov_len = most};
  return socket_.read({&part, 1});
}

}  // namespace sluice::forward
