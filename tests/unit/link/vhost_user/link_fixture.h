// A back-end with links for as many workers as a test wants, and front-ends that it connects.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "link/vhost_user/vhost_user_back_end.h"
#include "unit/link/vhost_user/front_end.h"

namespace sluice::link::test {

using namespace std::string_literals;

inline constexpr virtio::FeatureSet kPlain{virtio::Feature::kVersion1, virtio::Feature::kMrgRxbuf};
inline constexpr virtio::FeatureSet kEventIndex{
    virtio::Feature::kVersion1, virtio::Feature::kMrgRxbuf, virtio::Feature::kEventIdx};
inline constexpr virtio::FeatureSet kPairs{virtio::Feature::kVersion1, virtio::Feature::kMrgRxbuf,
                                           virtio::Feature::kMq};

// Front-ends of the test's, without a path.
class PairedFrontEnds final : public FrontEnds {
 public:
  PairedFrontEnds() : waiting_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  [[nodiscard]] int descriptor() const override { return waiting_.get(); }
  [[nodiscard]] std::optional<sys::KernelFd> take() override {
    if (sockets_.empty()) return std::nullopt;
    sys::KernelFd socket(sys::real_kernel(), sockets_.front().release());
    sockets_.erase(sockets_.begin());
    std::uint64_t count = 0;
    if (sockets_.empty()) (void)!::read(waiting_.get(), &count, sizeof count);
    return socket;
  }
  // The front-end's end.
  [[nodiscard]] UniqueFd connect() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    sockets_.emplace_back(ends[0]);
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(waiting_.get(), &one, sizeof one), 8);
    return UniqueFd(ends[1]);
  }

 private:
  UniqueFd waiting_;
  std::vector<UniqueFd> sockets_;
};

// A datagram between 10.0.2.15 and 192.0.2.1; the number of its flow is the guest's port.
enum class Way : std::uint8_t { kFromGuest, kToGuest };
inline constexpr std::size_t kFlowAt = 35;  // In a frame of the guest's.
[[nodiscard]] inline std::string flow_frame(std::uint8_t flow, Way way) {
  const std::string guest = "\x0a\0\x02\x0f"s;
  const std::string remote = "\xc0\0\x02\x01"s;
  const std::string guest_port{'\x10', static_cast<char>(flow)};
  const std::string remote_port = "\0\x35"s;
  const bool out = way == Way::kFromGuest;
  std::string bytes(12, 'm');
  bytes += "\x08\0\x45\0\0\x1e\0\0\0\0\x40\x11\0\0"s;
  bytes += out ? guest + remote : remote + guest;
  bytes += out ? guest_port + remote_port : remote_port + guest_port;
  bytes += "\0\x0a\0\0hi"s;
  return bytes;
}

class VhostUserTest : public ::testing::Test {
 protected:
  VhostUserTest(std::uint16_t pairs, std::size_t workers, bool one_off = false) {
    auto ends = std::make_unique<PairedFrontEnds>();
    front_ends = ends.get();
    VhostUserOptions options{.device = {.mac = {}, .mtu = 1500, .queue_pairs_max = pairs},
                             .workers = workers,
                             .one_off = one_off,
                             .tell =
                                 [this](const std::string& line) {
                                   const std::scoped_lock lock(told_mutex);
                                   told.push_back(line);
                                 },
                             .note = [](const std::string&) {}};
    auto made = VhostUserBackEnd::create(sys::real_kernel(), std::move(ends), std::move(options));
    EXPECT_TRUE(made);
    back_end = std::move(*made);
    for (std::size_t i = 0; i < back_end->workers(); ++i) links.push_back(back_end->link(i));
    link = links.front().get();
  }
  // Turns until nothing is there; keeps what came.
  void pump() {
    for (int i = 0; i < 100 && any_ready(); ++i) {
      for (std::size_t worker = 0; worker < links.size(); ++worker) {
        if (ready(worker)) turn(worker);
      }
    }
    EXPECT_FALSE(any_ready()) << "it is awake for nothing";
  }
  void turn(std::size_t worker = 0) {
    ++turns;
    const Link::Burst burst = links[worker]->read_burst(Link::Depth::kAsExpected);
    for (const wire::FrameIn& frame : burst.frames) {
      frames.emplace_back(frame.bytes.begin(), frame.bytes.end());
    }
    links[worker]->flush();
  }
  [[nodiscard]] bool ready(std::size_t worker = 0) const {
    pollfd poll{.fd = links[worker]->descriptors()[0], .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  [[nodiscard]] bool any_ready() const {
    for (std::size_t worker = 0; worker < links.size(); ++worker) {
      if (ready(worker)) return true;
    }
    return false;
  }
  [[nodiscard]] std::unique_ptr<FrontEnd> connect() {
    return std::make_unique<FrontEnd>(front_ends->connect(), [this] { pump(); });
  }
  [[nodiscard]] std::unique_ptr<FrontEnd> connect(virtio::FeatureSet features,
                                                  std::uint32_t pairs = 1) {
    auto front_end = connect();
    front_end->start(features, pairs);
    return front_end;
  }
  std::size_t write(const std::vector<std::string>& all, std::size_t worker = 0) {
    wire::FrameBatch batch;
    for (const std::string& frame : all) {
      std::ranges::copy(frame, batch.add(frame.size(), {}, {}).begin());
    }
    return links[worker]->write(batch);
  }
  [[nodiscard]] static std::string frame(std::size_t number, std::size_t size = 60) {
    std::string bytes(size, static_cast<char>('a' + number % 26));
    bytes[0] = static_cast<char>(number);
    return bytes;
  }

  PairedFrontEnds* front_ends = nullptr;
  std::unique_ptr<VhostUserBackEnd> back_end;
  std::vector<std::unique_ptr<Link>> links;  // Gone before it.
  Link* link = nullptr;                      // The first.
  std::vector<std::string> frames;
  std::mutex told_mutex;
  std::vector<std::string> told;
  std::size_t turns = 0;
};

}  // namespace sluice::link::test
