// Host sockets that are to be reset once their peers have what was sent before: a RST throws away
// what a kernel has not had acknowledged, and a guest's RST stands behind its bytes.
//
// A peer that takes nothing is waited for a little, as relay/pair.cc does. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>

#include "base/stream_buffer.h"
#include "base/time.h"
#include "driver/io/rechecks.h"
#include "host/tcp_socket.h"

namespace sluice::driver {

// Writes what lies in [from, until) of the spill, and releases what the kernel took; returns how
// much that was.
[[nodiscard]] std::expected<std::size_t, sys::SysError> send_from(host::TcpSocket& socket,
                                                                  StreamBuffer& spill,
                                                                  std::uint64_t from,
                                                                  std::uint64_t until);

class LateResets {
 public:
  struct Entry {
    host::TcpSocket socket;
    std::unique_ptr<StreamBuffer>
        spill;  // Bytes [begin, end) of it wait; null when there are none.
    std::uint64_t spill_begin = 0;
    std::uint64_t spill_end = 0;
  };

  LateResets() = default;
  LateResets(const LateResets&) = delete;
  LateResets& operator=(const LateResets&) = delete;
  ~LateResets();

  // Resets it at once where nothing is under way.
  void add(Entry entry, Instant now);
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  [[nodiscard]] Instant next_wakeup() const { return waiting_.next_wakeup(); }
  void on_time(Instant now);

 private:
  struct Waiting {
    Entry entry;
    std::size_t left = 0;  // Bytes that the peer has not acknowledged.
    Instant moved{};       // When that was last less.
  };
  // Nothing tells of acknowledgements, so they are asked for.
  static constexpr Duration kPauseFirst = std::chrono::milliseconds(1);
  static constexpr Duration kPauseMax = std::chrono::milliseconds(64);

  // False once there is nothing left to wait for.
  [[nodiscard]] static bool goes_on(Waiting& waiting, Instant now);

  Rechecks<Waiting> waiting_{kPauseFirst, kPauseMax};
};

}  // namespace sluice::driver
