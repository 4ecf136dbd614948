// LinkIo over a pair of datagram sockets, which keep the boundaries of frames as a tap does, and
// over a kernel that counts.
#include "driver/io/link_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "unit/sys/fake_kernel.h"

namespace sluice::driver {
namespace {

using Depth = LinkIo::Depth;

class LinkIoTest : public ::testing::Test {
 protected:
  LinkIoTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    guest = UniqueFd(ends[1]);
    link.emplace(sys::real_kernel(), UniqueFd(ends[0]), link::TapFeatures{}, std::nullopt);
  }
  void send(std::size_t frames) {
    const std::string frame(60, 'x');
    for (std::size_t i = 0; i < frames; ++i) {
      ASSERT_EQ(::send(guest.get(), frame.data(), frame.size(), 0), 60);
    }
  }
  std::size_t read(Depth depth) { return link->read_burst(depth).frames.size(); }
  // Frames came one by one for some time.
  void settle() {
    for (unsigned i = 0; i < BurstGuess::kLoneBursts; ++i) {
      send(1);
      ASSERT_EQ(read(Depth::kAsExpected), 1U);
    }
  }

  UniqueFd guest;
  std::optional<LinkIo> link;
};

TEST_F(LinkIoTest, ABurstIsReadWhole) {
  send(5);
  const LinkIo::Burst burst = link->read_burst(Depth::kAsExpected);
  EXPECT_EQ(burst.frames.size(), 5U);
  EXPECT_TRUE(burst.drained);
}

TEST_F(LinkIoTest, AmongLoneFramesNothingIsLostAndABurstIsSoonSeen) {
  settle();
  send(60);
  std::size_t turns = 0;
  for (std::size_t got = 0; got < 60; ++turns) {
    const std::size_t frames = read(Depth::kAsExpected);
    ASSERT_GT(frames, 0U);
    got += frames;
  }
  EXPECT_EQ(turns, BurstGuess::kLookEach);  // All but the last found one.
  EXPECT_EQ(read(Depth::kAsExpected), 0U);
}

TEST_F(LinkIoTest, ToTheEndIsToTheEnd) {
  settle();
  send(7);
  EXPECT_EQ(read(Depth::kToTheEnd), 7U);
}

TEST_F(LinkIoTest, ALoneFrameCostsOneRead) {
  sys::FakeKernel kernel;
  LinkIo io(kernel, UniqueFd(), {}, std::nullopt);
  for (unsigned i = 0; i < BurstGuess::kLoneBursts; ++i) {
    kernel.script("read", 60);
    EXPECT_EQ(io.read_burst(Depth::kAsExpected).frames.size(), 1U);
  }
  EXPECT_EQ(kernel.count("read"), 2 * BurstGuess::kLoneBursts);
  kernel.script("read", 60);
  EXPECT_EQ(io.read_burst(Depth::kAsExpected).frames.size(), 1U);
  EXPECT_EQ(kernel.count("read"), 2 * BurstGuess::kLoneBursts + 1);
}

TEST_F(LinkIoTest, FramesGoOutWholeWhateverTheirSize) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{8}, std::size_t{470}, std::size_t{471}, std::size_t{9000}}) {
    const std::string payload(size, 'p');
    flow::ActionSink sink;
    flow::DropCounters drops;
    const ByteView bytes(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
    std::ranges::fill(sink.add_frame(42, bytes, {}), std::uint8_t{'h'});
    link->write_frames(sink, drops);
    std::string got(10'000, '\0');
    const ssize_t length = ::recv(guest.get(), got.data(), got.size(), 0);
    ASSERT_EQ(length, static_cast<ssize_t>(42 + size));
    got.resize(static_cast<std::size_t>(length));
    EXPECT_EQ(got, std::string(42, 'h') + payload);
    EXPECT_EQ(drops[flow::DropReason::kLinkWriteFailed], 0U);
  }
}

}  // namespace
}  // namespace sluice::driver
