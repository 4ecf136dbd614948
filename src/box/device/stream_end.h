// One of our own standard streams, read or written without waiting. The descriptor is shared with
// whoever started us, so that O_NONBLOCK must not be set on it: a pipe or a terminal is opened
// anew, a socket takes a flag with each call, a file never makes anybody wait. Where nothing of
// that is possible, as with another user's terminal, it is used as it is, and only for as much as
// epoll vouches for. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "sys/io_result.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::box {

enum class StreamWay : std::uint8_t { kInput, kOutput };

class StreamEnd {
 public:
  // Pieces of one call at most; more are left for the next.
  static constexpr std::size_t kPiecesMax = 64;

  // Opens files in /proc, so it comes before the thread is confined. `fd` is not owned and stays
  // open.
  [[nodiscard]] static StreamEnd open(sys::Kernel& kernel, int fd, StreamWay way);

  // For the event loop, which refuses a file with EPERM: that one is always ready.
  [[nodiscard]] int fd() const { return own_.valid() ? own_.get() : shared_; }

  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> read(
      std::span<const MutableBytes> into);
  // Returns how many were taken; zero: it is full.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> write(std::span<const ByteView> bytes);

  // What is written from here on is nobody's: the descriptor is the null device's, as if it had
  // been closed, but no other takes its number.
  void give_up();

  enum class Kind : std::uint8_t {
    kOwn,     // A file description of ours, with O_NONBLOCK.
    kSocket,  // Shared, asked with MSG_DONTWAIT.
    kFile,    // Shared, never waits.
    kShared,  // May wait: called only when epoll said so, and for little.
  };
  [[nodiscard]] Kind kind() const { return kind_; }

 private:
  // What a pipe takes whole where poll(2) says that it can be written (pipe(7), PIPE_BUF).
  static constexpr std::size_t kVouchedFor = 4096;

  StreamEnd(sys::Kernel& kernel, int shared, UniqueFd own, Kind kind);

  sys::Kernel* kernel_;  // Not owned.
  int shared_;
  UniqueFd own_;
  UniqueFd nothing_;  // The null device.
  Kind kind_;
};

}  // namespace sluice::box
