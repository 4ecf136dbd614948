#include "box/device/stream_relay.h"

#include <cerrno>
#include <utility>

namespace sluice::box {
namespace {

// Calls in a row before others of the thread have their turn.
constexpr int kRounds = 16;

[[nodiscard]] std::size_t size_of(std::span<const ByteView> pieces) {
  std::size_t bytes = 0;
  for (const ByteView piece : pieces) bytes += piece.size();
  return bytes;
}

}  // namespace

void RelayTurns::run(DeviceThread& thread, const std::function<bool()>& once) {
  for (int round = 0; round < kRounds; ++round) {
    if (!once()) return;
  }
  if (std::exchange(posted_, true)) return;
  thread.post([this, &thread, once] {
    posted_ = false;
    run(thread, once);
  });
}

OutputRelay::OutputRelay(const RelayPlace& place, StreamEnd end, RelayNews news)
    : place_(place), end_(std::move(end)), news_(std::move(news)) {
  // That nobody reads it any more is told without being asked for.
  auto watch =
      place_.thread.watch(end_.fd(), 0, [this](std::uint32_t events) { on_ready(events); });
  if (watch) watch_ = std::move(*watch);
}

void OutputRelay::on_ready(std::uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    close();
  } else {
    vouched_for_ = true;
  }
  pump();
}

// False: nothing is to be done until somebody says so.
bool OutputRelay::pump_once() {
  const std::span<const ByteView> pieces = place_.console.waiting(place_.port);
  if (pieces.empty()) {
    watch_.change(0);
    return false;
  }
  const std::size_t taken = closed_ ? size_of(pieces) : write(pieces);
  place_.console.take(place_.port, taken);
  delivered_ += taken;
  check_end();
  if (taken > 0) news_();
  return taken > 0 || closed_;
}

void OutputRelay::end_after(std::uint64_t bytes) {
  end_after_ = bytes;
  check_end();
}

void OutputRelay::check_end() {
  if (!end_after_ || delivered_ < *end_after_) return;
  end_after_.reset();
  watch_.reset();
  end_.give_up();
}

std::size_t OutputRelay::write(std::span<const ByteView> pieces) {
  const bool may = end_.kind() != StreamEnd::Kind::kShared || !watch_.valid() ||
                   std::exchange(vouched_for_, false);
  if (may) {
    const auto written = end_.write(pieces);
    if (!written) {
      if (written.error().error != EPIPE) error_ = written.error();
      close();
      return 0;
    }
    if (*written > 0) return *written;
  }
  watch_.change(EPOLLOUT);
  return 0;
}

void OutputRelay::close() {
  if (std::exchange(closed_, true)) return;
  watch_.reset();
  news_();
}

InputRelay::InputRelay(const RelayPlace& place, StreamEnd end, RelayNews news)
    : place_(place), end_(std::move(end)), news_(std::move(news)) {}

// As the output's. A descriptor at its end says so however little it is asked for: it is waited for
// only while there is room for what it may have.
bool InputRelay::pump_once() {
  if (ended_ || paused_) return false;
  const std::span<const MutableBytes> room = place_.console.room(place_.port);
  if (room.empty()) {
    watch_.reset();
    return false;
  }
  if (end_.kind() == StreamEnd::Kind::kShared && !std::exchange(vouched_for_, false)) {
    place_.console.fill(place_.port, 0);
    wait();
    return false;
  }
  const auto read = end_.read(room);
  const std::size_t bytes = read ? read->bytes : 0;
  place_.console.fill(place_.port, bytes);
  delivered_ += bytes;
  if (bytes > 0) return true;
  if (read && read->status == sys::ReadStatus::kWouldBlock) {
    wait();
    return false;
  }
  watch_.reset();
  // What a terminal answers to those in its background.
  paused_ = !read && read.error().error == EIO;
  ended_ = !paused_;
  if (ended_) news_();
  return false;
}

void InputRelay::wait() {
  if (watch_.valid()) return;
  auto watch = place_.thread.watch(end_.fd(), EPOLLIN, [this](std::uint32_t) {
    vouched_for_ = true;
    pump();
  });
  // A file does not come here, as it always has something, or its end.
  if (watch) watch_ = std::move(*watch);
}

void InputRelay::resume() {
  paused_ = false;
  pump();
}

}  // namespace sluice::box
