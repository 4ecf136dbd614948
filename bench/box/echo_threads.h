// Who answers the guest of bench/box: threads that wait for its doorbell. All end with the object.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "box/bell_mailbox.h"
#include "link/link.h"

namespace sluice::bench {

[[nodiscard]] UniqueFd make_eventfd();
void write_eventfd(int fd);
void read_eventfd(int fd);
// The calling thread keeps to that one of the processors that it may use, if there are so many.
void pin_to(unsigned which);

// A thread that calls `turn` with each descriptor that is readable.
class WaitingThread {
 public:
  WaitingThread(std::vector<int> watched, bool pinned, std::function<void(int)> turn);
  ~WaitingThread();
  // The processor's time that it has taken.
  [[nodiscard]] std::uint64_t cpu_ns();

 private:
  void wait(const std::vector<int>& watched) const;

  UniqueFd stop_ = make_eventfd();
  std::function<void(int)> turn_;
  std::thread thread_;
};

// What an engine does here: each frame goes back as it came.
class Echo {
 public:
  struct Plan {
    bool each = false;           // Frames are written one by one.
    std::mutex* lock = nullptr;  // Held for each turn, if there is one.
  };
  Echo(link::Link& link, Plan plan) : link_(link), plan_(plan) {}
  void turn();

 private:
  link::Link& link_;
  Plan plan_;
  wire::FrameBatch batch_;
};

// Frames from one thread to another, without a lock: one writes, one reads.
class FrameRing {
 public:
  // Both are false where there is no room, or no frame.
  [[nodiscard]] bool push(ByteView frame);
  [[nodiscard]] bool pop(std::vector<std::uint8_t>& into);

 private:
  static constexpr std::size_t kSlots = 256;
  static constexpr std::size_t kFrameMax = 2048;
  struct Slot {
    std::size_t size = 0;
    std::array<std::uint8_t, kFrameMax> bytes{};
  };
  std::vector<Slot> slots_{kSlots};
  alignas(64) std::atomic<std::size_t> written_ = 0;
  alignas(64) std::atomic<std::size_t> read_ = 0;
};

// A device thread that owns the rings of the guest, and an engine's thread: a FrameRing and an
// eventfd each way.
class HandOff {
 public:
  HandOff(link::Link& link, bool pinned);

 private:
  void device_turn(int fd);
  void engine_turn();

  link::Link& link_;
  FrameRing to_engine_;
  FrameRing to_device_;
  UniqueFd engine_bell_ = make_eventfd();
  UniqueFd device_bell_ = make_eventfd();
  wire::FrameBatch batch_;
  std::vector<std::uint8_t> device_frame_;
  std::vector<std::uint8_t> engine_frame_;
  std::unique_ptr<WaitingThread> engine_;
  std::unique_ptr<WaitingThread> device_;
};

}  // namespace sluice::bench
