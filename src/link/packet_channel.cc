#include "link/packet_channel.h"

#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "sys/sys_error.h"

namespace sluice::link {
namespace {

[[nodiscard]] iovec part_of(ByteView bytes) {
  // sendmsg(2) only reads through it.
  return {.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
}

// The path of a UNIX socket; an abstract name with '@' in the place of its zero byte.
[[nodiscard]] std::string text_of(const sockaddr_storage& address, socklen_t length) {
  if (address.ss_family != AF_UNIX) return "another address";
  sockaddr_un name{};
  std::memcpy(&name, &address, std::min<std::size_t>(length, sizeof name));
  const std::size_t size =
      std::min<std::size_t>(length, sizeof name) - offsetof(sockaddr_un, sun_path);
  std::string text(name.sun_path, size);
  if (text.front() == '\0') {
    text.front() = '@';
  } else {
    text.resize(::strnlen(text.data(), text.size()));
  }
  return text;
}

}  // namespace

PacketChannel::PacketChannel(sys::Kernel& kernel, Peer peer)
    : kernel_(&kernel),
      kind_(peer),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kPacketsMax * kFrameMax)),
      incoming_(std::make_unique<Message[]>(kPacketsMax)),
      parts_(std::make_unique<iovec[]>(kPacketsMax * kPartsEach)),
      messages_(kPacketsMax) {
  for (std::size_t i = 0; i < kPacketsMax; ++i) {
    incoming_[i].part = {.iov_base = buffer_.get() + i * kFrameMax, .iov_len = kFrameMax};
  }
}

void PacketChannel::attach(int fd) {
  fd_ = fd;
  gone_ = false;
  refused_ = 0;
  peer_length_ = 0;
  awaited_ = false;
  queue_.clear();
}

// A datagram socket that is not connected counts as writable where the queue of whom it sends to is
// full. While something waits it is connected, which the kernel tells truly. Not longer, as nobody
// else could send to us; and only for a peer whose queue can be full: one that is connected to us
// has no such bound, and would be told of an error in the end.
[[gnu::cold]] void PacketChannel::await_peer() {
  if (kind_ != Peer::kWhoeverSends || awaited_ || peer_length_ == 0) return;
  const auto* const name = reinterpret_cast<const sockaddr*>(&peer_);
  awaited_ = kernel_->connect(fd_, name, peer_length_) == 0;
  if (!awaited_) on_refused();
}

[[gnu::cold]] void PacketChannel::disconnect() {
  if (!std::exchange(awaited_, false)) return;
  sockaddr_storage nobody{};
  nobody.ss_family = AF_UNSPEC;
  (void)kernel_->connect(fd_, reinterpret_cast<const sockaddr*>(&nobody), sizeof(sa_family_t));
}

void PacketChannel::drop_waiting() {
  queue_.clear();
  disconnect();
}

FrameChannel::Read PacketChannel::read(std::vector<wire::FrameIn>& frames) {
  if (gone_) return {.end = ChannelEnd{}};
  const int refused = std::exchange(refused_, 0);
  for (std::size_t i = 0; i < kPacketsMax; ++i) {
    messages_[i] = {};
    msghdr& header = messages_[i].msg_hdr;
    header.msg_iov = &incoming_[i].part;
    header.msg_iovlen = 1;
    header.msg_name = &incoming_[i].from;
    header.msg_namelen = sizeof incoming_[i].from;
  }
  const int count = kernel_->recvmmsg(fd_, messages_.data(), kPacketsMax, MSG_DONTWAIT);
  if (count < 0) {
    if (sys::would_block(errno)) return {.refused = refused};
    // An answer of the last one's; others may come.
    if (kind_ == Peer::kWhoeverSends) return {.refused = refused};
    return {.end = ChannelEnd{.why = ChannelEnd::Why::kError, .error = errno}};
  }
  Read result{.drained = static_cast<std::size_t>(count) < kPacketsMax, .refused = refused};
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const mmsghdr& message = messages_[i];
    if (message.msg_len == 0 && kind_ == Peer::kConnection) {
      result.end = ChannelEnd{};
      break;
    }
    if (kind_ == Peer::kWhoeverSends) learn(message.msg_hdr, result);
    const bool cut = (message.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    if (cut || message.msg_len < kFrameMin) continue;
    frames.push_back({{buffer_.get() + i * kFrameMax, message.msg_len}, kVouchedFor});
  }
  return result;
}

// Answers go to whoever sent last: a machine that was started anew may have another name.
void PacketChannel::learn(const msghdr& message, Read& result) {
  if (message.msg_namelen <= offsetof(sockaddr_un, sun_path)) {
    result.nameless = true;
    return;
  }
  if (message.msg_namelen == peer_length_ &&
      std::memcmp(message.msg_name, &peer_, peer_length_) == 0) {
    return;
  }
  drop_waiting();  // It was for another.
  peer_length_ = message.msg_namelen;
  std::memcpy(&peer_, message.msg_name, peer_length_);
  result.met = text_of(peer_, peer_length_);
}

void PacketChannel::address(msghdr& message) {
  if (peer_length_ == 0) return;
  message.msg_name = &peer_;
  message.msg_namelen = peer_length_;
}

// Sends the first `count` messages. How many the socket took, or -1 and errno: EAGAIN for later,
// EMSGSIZE for the first of them. Another error is the peer's, and has been dealt with.
int PacketChannel::send(std::size_t count) {
  const int sent = kernel_->sendmmsg(fd_, messages_.data(), static_cast<unsigned>(count),
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EMSGSIZE) on_refused();
  return sent;
}

[[gnu::cold]] void PacketChannel::on_refused() {
  const int error = errno;
  drop_waiting();
  if (kind_ == Peer::kWhoeverSends) refused_ = error;
  peer_length_ = 0;
  // A connection's end is seen by reading; of a datagram socket's peer nothing else tells.
  gone_ = kind_ == Peer::kConnected && (error == ECONNREFUSED || error == ENOTCONN);
  errno = error;
}

std::size_t PacketChannel::write(const wire::FrameBatch& batch) {
  if (kind_ == Peer::kWhoeverSends && peer_length_ == 0) return batch.size();
  if (!queue_.empty()) (void)flush();
  Frames from = batch.begin();
  if (!queue_.empty()) return keep(batch, from);
  std::size_t lost = 0;
  while (from != batch.end()) {
    const auto count =
        std::min<std::size_t>(kPacketsMax, static_cast<std::size_t>(batch.end() - from));
    for (std::size_t i = 0; i < count; ++i) {
      const wire::FrameOut& frame = from[static_cast<std::ptrdiff_t>(i)];
      iovec* const parts = parts_.get() + i * kPartsEach;
      parts[0] = part_of(batch.header(frame));
      parts[1] = part_of(frame.payload);
      messages_[i] = {};
      messages_[i].msg_hdr.msg_iov = parts;
      messages_[i].msg_hdr.msg_iovlen = frame.payload.empty() ? 1 : 2;
      address(messages_[i].msg_hdr);
    }
    const int sent = send(count);
    if (sent > 0) {
      from += sent;
    } else if (sent < 0 && errno == EMSGSIZE) {
      ++lost;
      ++from;
    } else if (sent < 0 && errno != EAGAIN) {
      return lost + static_cast<std::size_t>(batch.end() - from);
    } else {
      return lost + keep(batch, from);
    }
  }
  return lost;
}

std::size_t PacketChannel::keep(const wire::FrameBatch& batch, Frames from) {
  std::size_t lost = 0;
  for (; from != batch.end(); ++from) {
    if (!queue_.push(batch.header(*from), from->payload)) ++lost;
  }
  return lost;
}

bool PacketChannel::flush() {
  bool some = false;
  while (!queue_.empty()) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < queue_.size() && count < kPacketsMax; ++count) {
      const ByteView frame = queue_.frame_at(at);
      at += FrameQueue::kLengthSize + frame.size();
      parts_[count] = part_of(frame);
      messages_[count] = {};
      messages_[count].msg_hdr.msg_iov = &parts_[count];
      messages_[count].msg_hdr.msg_iovlen = 1;
      address(messages_[count].msg_hdr);
    }
    int sent = send(count);
    if (sent < 0 && errno == EMSGSIZE) sent = 1;  // It will never go.
    if (sent <= 0) return some || queue_.empty();
    some = true;
    for (; sent > 0; --sent) queue_.pop(FrameQueue::kLengthSize + queue_.frame_at(0).size());
  }
  disconnect();
  return some;
}

}  // namespace sluice::link
