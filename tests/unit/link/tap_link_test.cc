// TapLink over a pair of datagram sockets, which keep the boundaries of frames as a tap does, and
// over a kernel that answers as scripted.
#include "link/tap_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <string>

#include "unit/sys/fake_kernel.h"

namespace sluice::link {
namespace {

using Depth = Link::Depth;

constexpr TapFeatures kWithHeader{.vnet_header_size = 12, .checksum = true, .tso4 = true};

void add_frame(wire::FrameBatch& batch, std::size_t header, ByteView payload = {}) {
  std::ranges::fill(batch.add(header, payload, {}), std::uint8_t{'h'});
}

class TapLinkTest : public ::testing::Test {
 protected:
  TapLinkTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    guest = UniqueFd(ends[1]);
    link.emplace(sys::real_kernel(), UniqueFd(ends[0]), TapFeatures{});
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
  std::optional<TapLink> link;
};

TEST_F(TapLinkTest, ABurstIsReadWhole) {
  send(5);
  const Link::Burst burst = link->read_burst(Depth::kAsExpected);
  EXPECT_EQ(burst.frames.size(), 5U);
  EXPECT_TRUE(burst.drained);
  EXPECT_FALSE(burst.gone);
}

TEST_F(TapLinkTest, AmongLoneFramesNothingIsLostAndABurstIsSoonSeen) {
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

TEST_F(TapLinkTest, ToTheEndIsToTheEnd) {
  settle();
  send(7);
  EXPECT_EQ(read(Depth::kToTheEnd), 7U);
}

TEST_F(TapLinkTest, FramesGoOutWholeWhateverTheirSize) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{8}, std::size_t{470}, std::size_t{471}, std::size_t{9000}}) {
    const std::string payload(size, 'p');
    wire::FrameBatch batch;
    add_frame(batch, 42, {reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size()});
    EXPECT_EQ(link->write(batch), 0U);
    std::string got(10'000, '\0');
    const ssize_t length = ::recv(guest.get(), got.data(), got.size(), 0);
    ASSERT_EQ(length, static_cast<ssize_t>(42 + size));
    got.resize(static_cast<std::size_t>(length));
    EXPECT_EQ(got, std::string(42, 'h') + payload);
  }
}

TEST(ScriptedTapLink, ALoneFrameCostsOneRead) {
  sys::FakeKernel kernel;
  TapLink link(kernel, UniqueFd(), {});
  for (unsigned i = 0; i < BurstGuess::kLoneBursts; ++i) {
    kernel.script("read", 60);
    EXPECT_EQ(link.read_burst(Depth::kAsExpected).frames.size(), 1U);
  }
  EXPECT_EQ(kernel.count("read"), 2 * BurstGuess::kLoneBursts);
  kernel.script("read", 60);
  EXPECT_EQ(link.read_burst(Depth::kAsExpected).frames.size(), 1U);
  EXPECT_EQ(kernel.count("read"), 2 * BurstGuess::kLoneBursts + 1);
}

TEST(ScriptedTapLink, ABurstEndsWhereOthersHaveTheirTurn) {
  sys::FakeKernel kernel;
  TapLink link(kernel, UniqueFd(), {});
  for (int i = 0; i < 128; ++i) kernel.script("read", 60);
  const Link::Burst burst = link.read_burst(Depth::kToTheEnd);
  EXPECT_EQ(burst.frames.size(), 128U);
  EXPECT_FALSE(burst.drained);
  // Large frames fill the buffer before there are so many.
  for (int i = 0; i < 500; ++i) kernel.script("read", 70'000);
  TapLink other(kernel, UniqueFd(), {});
  EXPECT_LT(other.read_burst(Depth::kToTheEnd).frames.size(), 128U);
}

TEST(ScriptedTapLink, TheHeaderSaysWhatTheGuestLeftToUs) {
  sys::FakeKernel kernel;
  TapLink link(kernel, UniqueFd(), kWithHeader);
  std::string frame(12 + 60, 'x');
  wire::VirtioNetHeader{.flags = wire::VirtioNetHeader::kNeedsCsum, .gso_size = 1448}.emit(
      std::span<std::uint8_t, 12>(reinterpret_cast<std::uint8_t*>(frame.data()), 12));
  kernel.script_data(frame);
  const Link::Burst burst = link.read_burst(Depth::kToTheEnd);
  ASSERT_EQ(burst.frames.size(), 1U);
  EXPECT_EQ(burst.frames[0].bytes.size(), 60U);
  EXPECT_EQ(burst.frames[0].bytes[0], 'x');
  EXPECT_TRUE(burst.frames[0].offload.needs_checksum());
  EXPECT_EQ(burst.frames[0].offload.gso_size, 1448U);
}

TEST(ScriptedTapLink, WhatIsShorterThanTheHeaderIsNoFrame) {
  sys::FakeKernel kernel;
  TapLink link(kernel, UniqueFd(), kWithHeader);
  kernel.script("read", 11);
  kernel.script("read", 72);
  EXPECT_EQ(link.read_burst(Depth::kToTheEnd).frames.size(), 1U);
}

TEST(ScriptedTapLink, ADeviceThatWasDeletedIsGone) {
  sys::FakeKernel kernel;
  TapLink link(kernel, UniqueFd(), {});
  kernel.script("read", 60);
  kernel.script("read", -1, EBADFD);
  const Link::Burst burst = link.read_burst(Depth::kToTheEnd);
  EXPECT_EQ(burst.frames.size(), 1U);
  EXPECT_TRUE(burst.gone);
}

TEST(ScriptedTapLink, FramesThatTheKernelRefusesAreCountedAndTheOthersGoOut) {
  sys::FakeKernel kernel;
  TapLink link(kernel, UniqueFd(), kWithHeader);
  const std::string payload(9000, 'p');
  const ByteView bytes(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
  wire::FrameBatch batch;
  for (int i = 0; i < 3; ++i) add_frame(batch, 42);
  add_frame(batch, 42, bytes);
  add_frame(batch, 42, bytes);
  kernel.script("write", 54);
  kernel.script("write", -1, ENOBUFS);
  kernel.script("writev", -1, EIO);
  EXPECT_EQ(link.write(batch), 2U);
  EXPECT_EQ(kernel.count("write"), 3U);
  EXPECT_EQ(kernel.count("writev"), 2U);
  EXPECT_EQ(kernel.last("write")->first, 12 + 42);
  EXPECT_EQ(kernel.last("writev")->first, 12 + 42 + 9000);
}

TEST(ScriptedTapLink, FeaturesAreWhatTheKernelGranted) {
  sys::FakeKernel kernel;
  const TapLink whole(kernel, UniqueFd(),
                      {.vnet_header_size = 12,
                       .checksum = true,
                       .tso4 = true,
                       .tso6 = true,
                       .tso_ecn = true,
                       .uso = true});
  EXPECT_TRUE(whole.features().checksum && whole.features().tso && whole.features().uso);
  // Segmentation is for both families or for none.
  const TapLink half(kernel, UniqueFd(), kWithHeader);
  EXPECT_TRUE(half.features().checksum);
  EXPECT_FALSE(half.features().tso);
  EXPECT_FALSE(half.features().uso);
}

TEST_F(TapLinkTest, ItsDescriptorIsReadableWhenAFrameIsThere) {
  ASSERT_EQ(link->descriptors().size(), 1U);
  send(1);
  std::uint8_t byte = 0;
  EXPECT_EQ(::recv(link->descriptors()[0], &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
}

}  // namespace
}  // namespace sluice::link
