// Between a port of the guest's console and one of our standard streams. No byte is copied on the
// way, and none is kept: what our descriptor does not take stays in the guest, what the guest has
// no room for stays in our input. In the device thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "box/device/console_device.h"
#include "box/device/device_thread.h"
#include "box/device/stream_end.h"
#include "sys/sys_error.h"

namespace sluice::box {

// Tells its user that ended(), closed() or delivered() changed.
using RelayNews = std::function<void()>;

struct RelayPlace {
  DeviceThread& thread;
  ConsoleDevice& console;
  std::size_t port = 0;
};

// Calls of a relay's, some in a row, and then others of the thread have their turn.
class RelayTurns {
 public:
  // `once` says whether there may be more to do. What is given by reference outlives this.
  void run(DeviceThread& thread, const std::function<bool()>& once);

 private:
  bool posted_ = false;  // The next turn.
};

class OutputRelay {
 public:
  OutputRelay(const RelayPlace& place, StreamEnd end, RelayNews news);

  // When the guest wrote, or our end has room again.
  void pump() {
    turns_.run(place_.thread, [this] { return pump_once(); });
  }
  // Behind so many bytes nobody in the guest writes any more: our end is given up then, so that
  // who reads it sees that.
  void end_after(std::uint64_t bytes);

  // Bytes that were taken from the guest.
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  // Our end is gone: what still comes is thrown away, and counted all the same.
  [[nodiscard]] bool closed() const { return closed_; }
  // Why, where it is not simply that nobody reads it.
  [[nodiscard]] const std::optional<sys::SysError>& error() const { return error_; }

 private:
  [[nodiscard]] bool pump_once();
  [[nodiscard]] std::size_t write(std::span<const ByteView> pieces);
  void on_ready(std::uint32_t events);
  void close();
  void check_end();

  RelayPlace place_;
  StreamEnd end_;
  RelayNews news_;
  DeviceThread::Watch watch_;  // Not of a file, which is always ready.
  std::uint64_t delivered_ = 0;
  std::optional<std::uint64_t> end_after_;
  bool vouched_for_ = false;  // By epoll, for one call.
  RelayTurns turns_;
  bool closed_ = false;
  std::optional<sys::SysError> error_;
};

class InputRelay {
 public:
  InputRelay(const RelayPlace& place, StreamEnd end, RelayNews news);

  // When the guest made room or opened its port, or there is something to read.
  void pump() {
    turns_.run(place_.thread, [this] { return pump_once(); });
  }
  // A terminal that we may read again, as we are in its foreground.
  void resume();

  // Bytes that were given to the guest.
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  // There will be no more.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  [[nodiscard]] bool pump_once();
  void wait();

  RelayPlace place_;
  StreamEnd end_;
  RelayNews news_;
  DeviceThread::Watch watch_;  // While it is waited for.
  std::uint64_t delivered_ = 0;
  bool vouched_for_ = false;  // By epoll, for one call.
  RelayTurns turns_;
  bool paused_ = false;
  bool ended_ = false;
};

}  // namespace sluice::box
