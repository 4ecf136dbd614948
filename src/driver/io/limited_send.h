// Sends within a limit: what it does not let through yet waits in the spill, as if the socket were
// full, and so the guest's window closes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/time.h"
#include "policy/limits/meter.h"
#include "sys/sys_error.h"

namespace sluice::driver {

using Sent = std::expected<std::size_t, sys::SysError>;

// `send` is called where all of `size` may pass; else nothing was sent.
template <typename Send>
[[nodiscard]] Sent send_whole(policy::Lane& lane, std::size_t size, Instant now, const Send& send) {
  const std::size_t claimed = lane.claim(size, now);
  const Sent sent = claimed == size ? send() : Sent(0);
  lane.settle(claimed, sent.value_or(0), now);
  return sent;
}

struct SentSome {
  std::size_t bytes = 0;
  bool held_back = false;  // By the limit; else it was the socket, if not all went.
};
// `send(bytes)` is called with what may pass of `size` bytes, if anything may.
template <typename Send>
[[nodiscard]] std::expected<SentSome, sys::SysError> send_some(policy::Lane& lane, std::size_t size,
                                                               Instant now, const Send& send) {
  const std::size_t claimed = lane.claim(size, now);
  if (claimed == 0) return SentSome{.held_back = true};
  const Sent sent = send(claimed);
  lane.settle(claimed, sent.value_or(0), now);
  if (!sent) return std::unexpected(sent.error());
  return SentSome{*sent, *sent == claimed && claimed < size};
}

// What a rate lets through only bit by bit would have to wait here: more than this is not asked
// for.
[[nodiscard]] inline std::uint32_t room_within(const policy::Lane* lane, std::uint32_t room) {
  constexpr std::uint32_t kSlow = 64 * 1024;
  return lane != nullptr && lane->has_rate() ? std::min(room, kSlow) : room;
}

}  // namespace sluice::driver
