#include "box/init/relay.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice::box {
namespace {

// Buffers that one turn moves, before other descriptors have theirs.
constexpr int kTurns = 4;

}  // namespace

void Relay::turn() {
  for (int i = 0; i < kTurns; ++i) {
    const bool filled = begin_ == end_ && fill();
    if (!empty() && !filled) return;
  }
}

void Relay::end_source_at(std::uint64_t bytes) {
  ends_at_ = bytes;
  if (read_ >= bytes) source_ended_ = true;
}

void Relay::drop_sink() {
  sink_gone_ = true;
  (void)empty();
}

bool Relay::fill() {
  if (source_ended_) return false;
  std::size_t room = buffer_.size();
  if (ends_at_) room = static_cast<std::size_t>(std::min<std::uint64_t>(room, *ends_at_ - read_));
  ssize_t got = 0;
  do {
    got = ::read(source_, buffer_.data(), room);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) {
    source_ended_ = ends_when_empty_;
    return false;
  }
  if (got <= 0) {  // EIO: a terminal whose other side nobody has open.
    source_ended_ = true;
    return false;
  }
  begin_ = 0;
  end_ = static_cast<std::size_t>(got);
  read_ += end_;
  if (ends_at_ && read_ >= *ends_at_) source_ended_ = true;
  return true;
}

bool Relay::empty() {
  bool any = false;
  while (begin_ != end_) {
    const std::size_t left = end_ - begin_;
    const ssize_t sent =
        sink_gone_ ? static_cast<ssize_t>(left) : ::write(sink_, buffer_.data() + begin_, left);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return any;
    if (sent <= 0) {
      sink_gone_ = true;
      continue;
    }
    begin_ += static_cast<std::size_t>(sent);
    moved_ += static_cast<std::uint64_t>(sent);
    any = true;
  }
  return any;
}

}  // namespace sluice::box
