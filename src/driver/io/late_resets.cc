#include "driver/io/late_resets.h"

#include <array>
#include <utility>

namespace sluice::driver {
namespace {

// A peer that acknowledges nothing for so long is reset nevertheless.
constexpr Duration kPatience = std::chrono::seconds(1);
// Beyond so many a guest makes us keep more than it is worth.
constexpr std::size_t kWaitingMax = 1024;

}  // namespace

std::expected<std::size_t, sys::SysError> send_from(host::TcpSocket& socket, StreamBuffer& spill,
                                                    std::uint64_t from, std::uint64_t until) {
  std::size_t done = 0;
  for (;;) {
    std::array<ByteView, 64> pieces;
    std::array<iovec, 64> parts;
    const std::size_t count = spill.pieces(from + done, until, pieces);
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      parts[i] = {.iov_base = const_cast<std::uint8_t*>(pieces[i].data()),
                  .iov_len = pieces[i].size()};
      bytes += pieces[i].size();
    }
    if (bytes == 0) return done;
    const auto sent = socket.send(std::span(parts).first(count));
    if (!sent) return std::unexpected(sent.error());
    done += *sent;
    spill.release_before(from + done);
    if (*sent < bytes) return done;
  }
}

LateResets::~LateResets() {
  waiting_.for_each([](Waiting& waiting) { waiting.entry.socket.reset(); });
}

void LateResets::add(Entry entry, Instant now) {
  Waiting waiting{.entry = std::move(entry), .left = SIZE_MAX, .moved = now};
  if (waiting_.size() == kWaitingMax || !goes_on(waiting, now)) {
    waiting.entry.socket.reset();
    return;
  }
  waiting_.add(std::move(waiting), now);
}

bool LateResets::goes_on(Waiting& waiting, Instant now) {
  Entry& entry = waiting.entry;
  if (entry.spill != nullptr) {
    const auto sent = send_from(entry.socket, *entry.spill, entry.spill_begin, entry.spill_end);
    if (!sent) return false;
    entry.spill_begin += *sent;
  }
  const auto under_way = entry.socket.unacknowledged_bytes();
  if (!under_way) return false;
  const std::size_t left =
      *under_way + static_cast<std::size_t>(entry.spill_end - entry.spill_begin);
  if (left == 0) return false;
  if (left < waiting.left) waiting.moved = now;
  waiting.left = left;
  return now - waiting.moved < kPatience;
}

void LateResets::on_time(Instant now) {
  waiting_.look(now, [now](Waiting& waiting) {
    if (goes_on(waiting, now)) return false;
    waiting.entry.socket.reset();
    return true;
  });
}

}  // namespace sluice::driver
