// Workers that share a guest, each in a thread, over the kernel that runs this test: their links
// are socket pairs whose other ends are the test's, which is the guest.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "driver/worker_group.h"
#include "unit/flow/engine/guest_frames.h"

namespace sluice::driver {

// Frames as packets of a socket.
class PairLink final : public link::Link {
 public:
  explicit PairLink(UniqueFd socket) : socket_(std::move(socket)), fd_(socket_.get()) {}

  [[nodiscard]] wire::LinkFeatures features() const override { return {}; }
  [[nodiscard]] std::span<const int> descriptors() const override { return {&fd_, 1}; }
  [[nodiscard]] Burst read_burst(Depth) override {
    constexpr std::size_t kFrames = 64;
    read_.clear();
    frames_.clear();
    bool gone = false;
    while (read_.size() < kFrames) {
      flow::test::Bytes bytes(2048);
      const ssize_t length = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
      gone = length == 0;
      if (length <= 0) break;
      bytes.resize(static_cast<std::size_t>(length));
      read_.push_back(std::move(bytes));
    }
    for (const flow::test::Bytes& bytes : read_) frames_.push_back({bytes, {}});
    return {frames_, read_.size() < kFrames, gone};
  }
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override {
    std::size_t lost = 0;
    for (const wire::FrameOut& frame : batch) {
      const ByteView header = batch.header(frame);
      flow::test::Bytes whole(header.begin(), header.end());
      whole.insert(whole.end(), frame.payload.begin(), frame.payload.end());
      if (::send(fd_, whole.data(), whole.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) ++lost;
    }
    return lost;
  }

 private:
  UniqueFd socket_;
  int fd_;
  std::vector<flow::test::Bytes> read_;
  std::vector<wire::FrameIn> frames_;
};

class GroupRig : private Outside {
 public:
  // Long enough for a machine that has much else to do.
  static constexpr int kPatience = 60'000;

  virtual ~GroupRig() {
    take_over();
    workers.reset();
  }

  // With what the first is given; links and places are filled in.
  void start(std::uint32_t count, WorkerOptions options) {
    network = options.engine.network;
    owner = flow::FrameOwner(network, count, {21, 22});
    group_ = std::move(*Group::create(
        sys::real_kernel(), owner,
        policy::GuestLimits(options.engine.limits, options.engine.max_inbound_streams),
        options.seeds.dns));
    loop_.emplace(std::move(*sys::EventLoop::create(sys::real_kernel())));
    auto published = std::move(options.published).split(owner);
    options.published = std::move(published[0]);
    std::vector<WorkerOptions> rest(count - 1);
    for (std::uint32_t i = 1; i < count; ++i) {
      rest[i - 1].engine = options.engine;
      rest[i - 1].resolvers = resolv::ResolverConfig::of({});
      rest[i - 1].keep_report = options.keep_report;
      rest[i - 1].published = std::move(published[i]);
    }
    give_place(options, 0);
    first_.emplace(sys::real_kernel(), *loop_, std::move(options));
    std::vector<std::unique_ptr<WorkerThread>> others;
    for (std::uint32_t i = 1; i < count; ++i) {
      give_place(rest[i - 1], i);
      auto other = WorkerThread::create(sys::real_kernel(), std::move(rest[i - 1]));
      ASSERT_TRUE(other.has_value());
      others.push_back(std::move(*other));
    }
    workers.emplace(*first_, std::move(others));
    ASSERT_TRUE(workers->begin().has_value());
    ASSERT_TRUE(workers->start([] { return std::expected<void, sys::SetupError>(); }).has_value());
    workers->go();
    thread_ = std::thread([this] { run_first(); });
  }

  // Ends the first's thread: the test's goes on with it.
  void take_over() {
    if (!thread_.joinable()) return;
    in_first([this] { stopping_ = true; });
    thread_.join();
  }
  // In the first's thread, between two turns.
  void in_first(const std::function<void()>& job) {
    std::unique_lock lock(lock_);
    job_ = &job;
    changed_.wait(lock, [this] { return job_ == nullptr; });
  }

  void send(std::size_t link, const flow::test::Bytes& frame) const {
    ASSERT_EQ(::send(guests_.at(link).get(), frame.data(), frame.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(frame.size()));
  }
  void close_link(std::size_t link) { guests_.at(link).reset(); }

  struct Arrived {
    std::size_t link = 0;
    flow::test::Received frame;
  };
  // The first frame that has come, or comes, of which `wanted` is true; others are kept.
  std::optional<Arrived> expect(const std::function<bool(const flow::test::Received&)>& wanted) {
    while (true) {
      const auto found =
          std::ranges::find_if(arrived_, [&](const Arrived& one) { return wanted(one.frame); });
      if (found != arrived_.end()) {
        Arrived one = std::move(*found);
        arrived_.erase(found);
        return one;
      }
      if (!receive()) return std::nullopt;
    }
  }

  flow::GuestNetwork network;
  flow::FrameOwner owner;
  std::optional<WorkerGroup> workers;
  int links_gone = 0;  // The first's thread's.

 protected:
  Outside& outside() { return *this; }

 private:
  void give_place(WorkerOptions& options, std::uint32_t worker) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    options.link = std::make_unique<PairLink>(UniqueFd(ends[0]));
    guests_.emplace_back(ends[1]);
    options.member.emplace(*group_, worker);
    options.engine.share = options.member->share();
    options.engine.shared_limits = &group_->limits();
  }
  void run_first() {
    while (!stopping_) {
      workers->turn(workers->now() + std::chrono::milliseconds(5), *this);
      const std::lock_guard guard(lock_);
      if (job_ == nullptr) continue;
      (*job_)();
      job_ = nullptr;
      changed_.notify_all();
    }
  }
  // False where nothing comes any more.
  bool receive() {
    std::vector<pollfd> items;
    for (const UniqueFd& guest : guests_) {
      items.push_back({.fd = guest.get(), .events = POLLIN, .revents = 0});
    }
    if (::poll(items.data(), items.size(), kPatience) <= 0) return false;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].revents == 0) continue;
      flow::test::Bytes bytes(2048);
      const ssize_t length = ::recv(items[i].fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (length <= 0) return false;
      bytes.resize(static_cast<std::size_t>(length));
      arrived_.push_back({i, {std::move(bytes), {}}});
    }
    return true;
  }
  void on_ready(std::uint32_t) override {}
  void on_link_gone() override { ++links_gone; }

  std::unique_ptr<Group> group_;
  std::optional<sys::EventLoop> loop_;
  std::optional<Worker> first_;
  std::vector<UniqueFd> guests_;  // The guest's ends.
  std::deque<Arrived> arrived_;
  std::thread thread_;
  bool stopping_ = false;  // The first's thread's.
  std::mutex lock_;
  std::condition_variable changed_;
  const std::function<void()>* job_ = nullptr;
};

}  // namespace sluice::driver
