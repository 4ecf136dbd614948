// A worker over a kernel that answers as scripted and a link of the test's. Time is the kernel's.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "driver/worker.h"
#include "unit/flow/engine/guest_frames.h"
#include "unit/link/test_link.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::driver {

class WorkerRig : protected Outside {
 public:
  enum class Begin : std::uint8_t { kNo, kYes };

  explicit WorkerRig(Begin begin = Begin::kYes) { start(WorkerOptions(), begin); }
  virtual ~WorkerRig() = default;

  // Another worker; link and loop are filled in.
  void start(WorkerOptions options, Begin begin = Begin::kYes) {
    worker.reset();
    loop_.emplace(std::move(*sys::EventLoop::create(kernel)));
    auto fresh = std::make_unique<link::TestLink>();
    link = fresh.get();
    options.link = std::move(fresh);
    worker.emplace(kernel, *loop_, std::move(options));
    network = {};
    if (begin == Begin::kNo) return;
    EXPECT_TRUE(worker->begin().has_value());
  }

  // A turn in which these descriptors have something.
  void turn(const std::vector<std::pair<int, std::uint32_t>>& events = {}) {
    kernel.script_events(events);
    worker->turn(kNever, *this);
  }
  // A turn in which the guest sends these.
  void feed(std::vector<flow::test::Bytes> frames) {
    link->incoming = std::move(frames);
    turn({{link->fds[0], EPOLLIN}});
  }
  // Of the newest socket.
  [[nodiscard]] int newest_socket() const {
    int fd = -1;
    for (const auto& [watched, event] : kernel.watched) fd = std::max(fd, watched);
    return fd;
  }
  [[nodiscard]] std::uint64_t drops(flow::DropReason reason) const {
    for (const telemetry::Counter& one : worker->snapshot().drops) {
      if (one.name == flow::to_string(reason)) return one.value;
    }
    return 0;
  }
  [[nodiscard]] flow::test::Received frame(std::size_t at) const {
    return {link->written.at(at), {}};
  }
  void pass(Duration time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    kernel.time.tv_sec += static_cast<time_t>(whole.count());
    kernel.time.tv_nsec += static_cast<long>((time - whole).count());
    if (kernel.time.tv_nsec >= 1'000'000'000) {
      kernel.time.tv_nsec -= 1'000'000'000;
      ++kernel.time.tv_sec;
    }
  }

  sys::FakeKernel kernel;
  link::TestLink* link = nullptr;
  std::optional<Worker> worker;
  flow::GuestNetwork network;
  std::vector<std::uint32_t> ready;  // What Outside was told.
  int links_gone = 0;

 private:
  void on_ready(std::uint32_t number) override { ready.push_back(number); }
  void on_link_gone() override { ++links_gone; }

  std::optional<sys::EventLoop> loop_;
};

}  // namespace sluice::driver
