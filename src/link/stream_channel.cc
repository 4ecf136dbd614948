#include "link/stream_channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sys/sys_error.h"

namespace sluice::link {
namespace {

constexpr std::size_t kLengthSize = FrameQueue::kLengthSize;
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

}  // namespace

StreamChannel::StreamChannel(sys::Kernel& kernel)
    : kernel_(&kernel),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kBufferSize)),
      scratch_(std::make_unique_for_overwrite<std::uint8_t[]>(kScratchSize)) {
  parts_.reserve(kPartsMax);
}

void StreamChannel::attach(int fd) {
  fd_ = fd;
  begin_ = end_ = 0;
  queue_.clear();
}

FrameChannel::Read StreamChannel::read(std::vector<wire::FrameIn>& frames) {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const std::size_t room = kBufferSize - end_;
  iovec part{.iov_base = buffer_.get() + end_, .iov_len = room};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t got = kernel_->recvmsg(fd_, &message, MSG_DONTWAIT);
  if (got < 0) {
    if (sys::would_block(errno)) return {};
    return {.end = ChannelEnd{.why = ChannelEnd::Why::kError, .error = errno}};
  }
  if (got == 0) return {.end = ChannelEnd{}};
  end_ += static_cast<std::size_t>(got);

  Read result{.drained = static_cast<std::size_t>(got) < room};
  while (end_ - begin_ >= kLengthSize) {
    const ByteView rest(buffer_.get() + begin_, end_ - begin_);
    const std::uint32_t length = be32<0>(rest.first<kLengthSize>());
    if (length < kFrameMin || length > kFrameMax) [[unlikely]] {
      // Where the next one begins is not known any more.
      result.end = ChannelEnd{.why = ChannelEnd::Why::kBadLength, .length = length};
      break;
    }
    if (rest.size() - kLengthSize < length) break;
    frames.push_back({rest.subspan(kLengthSize, length), kVouchedFor});
    begin_ += kLengthSize + length;
  }
  return result;
}

void StreamChannel::add_part(ByteView bytes) {
  if (bytes.empty()) return;
  gathered_ += bytes.size();
  // sendmsg(2) only reads through it.
  parts_.push_back({.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()});
}

void StreamChannel::add_copy(ByteView bytes) {
  if (bytes.empty()) return;
  std::uint8_t* const to = scratch_.get() + scratch_used_;
  std::memcpy(to, bytes.data(), bytes.size());
  scratch_used_ += bytes.size();
  if (!parts_.empty()) {
    iovec& last = parts_.back();
    if (static_cast<std::uint8_t*>(last.iov_base) + last.iov_len == to) {
      last.iov_len += bytes.size();
      gathered_ += bytes.size();
      return;
    }
  }
  add_part({to, bytes.size()});
}

// From this frame on as many as one call takes. Returns the first that is not among them.
StreamChannel::Frames StreamChannel::gather(const wire::FrameBatch& batch, Frames from) {
  constexpr std::size_t kPartsEach = 3;
  constexpr std::size_t kCopiedEach = kLengthSize + 2 * kCopiedMax;
  parts_.clear();
  scratch_used_ = 0;
  gathered_ = 0;
  for (; from != batch.end(); ++from) {
    if (parts_.size() + kPartsEach > kPartsMax) break;
    if (scratch_used_ + kCopiedEach > kScratchSize) break;
    const ByteView header = batch.header(*from);
    std::array<std::uint8_t, kLengthSize> length;
    put32<0>(FixedBytes<kLengthSize>(length),
             static_cast<std::uint32_t>(header.size() + from->payload.size()));
    add_copy(length);
    for (const ByteView part : {header, from->payload}) {
      if (part.size() <= kCopiedMax) {
        add_copy(part);
      } else {
        add_part(part);
      }
    }
  }
  return from;
}

std::size_t StreamChannel::write(const wire::FrameBatch& batch) {
  if (!queue_.empty()) (void)flush();
  Frames from = batch.begin();
  if (!queue_.empty()) return keep(batch, from, 0);
  while (from != batch.end()) {
    const Frames until = gather(batch, from);
    msghdr message{};
    message.msg_iov = parts_.data();
    message.msg_iovlen = parts_.size();
    const ssize_t sent = kernel_->sendmsg(fd_, &message, kSendFlags);
    if (sent < 0 && errno != EAGAIN) {
      // Whoever reads will see the end of it.
      return static_cast<std::size_t>(batch.end() - from);
    }
    const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (done < gathered_) return keep(batch, from, done);
    from = until;
  }
  return 0;
}

// Queues what follows `sent` bytes from this frame on, as far as there is room. How many found
// none.
std::size_t StreamChannel::keep(const wire::FrameBatch& batch, Frames from, std::size_t sent) {
  std::size_t lost = 0;
  for (; from != batch.end(); ++from) {
    const ByteView header = batch.header(*from);
    const std::size_t whole = kLengthSize + header.size() + from->payload.size();
    if (sent >= whole) {
      sent -= whole;
      continue;
    }
    if (!queue_.push(header, from->payload, sent)) ++lost;
    sent = 0;
  }
  return lost;
}

bool StreamChannel::flush() {
  bool some = false;
  while (!queue_.empty()) {
    const ByteView bytes = queue_.bytes();
    const ssize_t sent = kernel_->send(fd_, bytes.data(), bytes.size(), kSendFlags);
    if (sent < 0) {
      if (errno != EAGAIN) queue_.clear();
      return some || queue_.empty();
    }
    some = true;
    queue_.pop(static_cast<std::size_t>(sent));
  }
  return some;
}

}  // namespace sluice::link
