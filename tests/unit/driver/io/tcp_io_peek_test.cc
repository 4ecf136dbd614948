// What is peeked straight into the memory of a link's other side, and that its frames are the same.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "link/link.h"
#include "unit/driver/io/tcp_io_fixture.h"

namespace sluice::driver {
namespace {

using flow::test::Bytes;

// Has memory of its own in pieces, where it is asked for room, for as many whole frames as it says.
class RoomLink final : public link::Link {
 public:
  [[nodiscard]] wire::LinkFeatures features() const override { return {}; }
  [[nodiscard]] std::span<const int> descriptors() const override { return {}; }
  [[nodiscard]] Burst read_burst(Depth /*depth*/) override { return {}; }
  [[nodiscard]] bool offers_room() const override { return true; }
  [[nodiscard]] std::span<const MutableBytes> room_for(const RoomWanted& wanted) override {
    asked.push_back(wanted);
    pieces_.clear();
    payload_ = wanted.payload;
    memory_.assign(std::min(wanted.bytes, frames_most * wanted.payload), 0);
    for (MutableBytes all(memory_); !all.empty();) {
      const std::size_t part = std::min<std::size_t>(all.size(), 1500);
      pieces_.push_back(all.first(part));
      all = all.subspan(part);
    }
    return pieces_;
  }
  void leave_room(bool is_gone) override {
    left.push_back(is_gone);
    pieces_.clear();
  }
  // Puts the stream together: from the room what lies there, and from the frames all else.
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override {
    std::size_t at = 0;
    for (const wire::FrameOut& frame : batch) {
      EXPECT_LE(frame.payload.size(), payload_);
      if (pieces_.empty() || at >= memory_.size()) {
        stream.append(frame.payload.begin(), frame.payload.end());
      } else {
        EXPECT_EQ(batch.header(frame).size(), asked.back().headers);
        stream.append(memory_.begin() + static_cast<std::ptrdiff_t>(at),
                      memory_.begin() + static_cast<std::ptrdiff_t>(at + frame.payload.size()));
      }
      at += frame.payload.size();
    }
    pieces_.clear();
    return 0;
  }

  std::size_t frames_most = 100;
  std::vector<RoomWanted> asked;
  std::vector<bool> left;
  std::string stream;

 private:
  std::size_t payload_ = 100'000;
  std::vector<std::uint8_t> memory_;
  std::vector<MutableBytes> pieces_;
};

class TcpIoPeekTest : public test::TcpIoTest {
 protected:
  TcpIoPeekTest() { begin({.checksum = true, .tso = true}); }
  void begin(const wire::LinkFeatures& features) {
    io.reset();
    restart({.link = features});
    io.emplace(IoContext{kernel, *loop_, outbound_}, tcp());
    to.emplace();
    io->set_link(*to);
    link = &*to;
    c = open();
  }
  // The host sends; the guest has room for it, and acknowledges it.
  void host_sends(const std::string& bytes) {
    clear();
    kernel.script_data(bytes);
    event(EPOLLIN);
    c.host_next += static_cast<std::uint32_t>(bytes.size());
  }
  void acknowledge() {
    burst({.guest = c.guest,
           .remote = c.remote,
           .sequence = c.next,
           .acknowledgment = c.host_next,
           .window = 0xffff});
  }
  [[nodiscard]] static std::string stream(std::size_t size, char from) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
      bytes[i] = static_cast<char>(from + static_cast<char>(i % 21));
    return bytes;
  }

  std::optional<RoomLink> to;
  Connection c;
};

TEST_F(TcpIoPeekTest, LargeAnswersGoStraightThere) {
  host_sends(stream(30'000, 'a'));
  EXPECT_TRUE(to->asked.empty()) << "nothing was known of it yet";
  acknowledge();
  const std::size_t peeks = kernel.count("recvmsg");
  host_sends(stream(40'000, 'b'));
  EXPECT_EQ(kernel.count("recvmsg"), peeks + 1);
  ASSERT_EQ(to->asked.size(), 1U);
  EXPECT_EQ(to->asked[0].headers, 54U);
  EXPECT_EQ(to->asked[0].flow, (wire::FlowTuple{wire::IpProtocol::kTcp, c.remote, c.guest}));
  EXPECT_EQ(to->stream, stream(30'000, 'a') + stream(40'000, 'b'));
  EXPECT_TRUE(to->left.empty());
}

TEST_F(TcpIoPeekTest, WhatHasNoRoomIsInTheFrames) {
  begin({.checksum = true});
  host_sends(stream(30'000, 'a'));
  acknowledge();
  to->frames_most = 7;
  host_sends(stream(40'000, 'b'));
  ASSERT_EQ(to->asked.size(), 1U);
  EXPECT_EQ(to->stream, stream(30'000, 'a') + stream(40'000, 'b'));
  acknowledge();
  to->frames_most = 0;
  host_sends(stream(20'000, 'c'));
  ASSERT_EQ(to->asked.size(), 2U);
  EXPECT_EQ(to->stream, stream(30'000, 'a') + stream(40'000, 'b') + stream(20'000, 'c'));
}

TEST_F(TcpIoPeekTest, FramesAreCutAsWithout) {
  host_sends(stream(40'000, 'a'));
  const auto before = frames;
  acknowledge();
  host_sends(stream(40'000, 'a'));
  ASSERT_EQ(to->asked.size(), 1U);
  ASSERT_EQ(frames.size(), before.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].bytes.size(), before[i].bytes.size());
    EXPECT_EQ(frames[i].tcp().sequence(), before[i].tcp().sequence() + 40'000);
    EXPECT_EQ(frames[i].offload, before[i].offload);
  }
}

TEST_F(TcpIoPeekTest, SmallAnswersAskForNone) {
  for (int i = 0; i < 3; ++i) {
    host_sends(stream(1000, 'a'));
    acknowledge();
  }
  EXPECT_TRUE(to->asked.empty());
}

TEST_F(TcpIoPeekTest, WhereChecksumsAreOursThereIsNone) {
  begin({});
  host_sends(stream(30'000, 'a'));
  acknowledge();
  host_sends(stream(30'000, 'b'));
  EXPECT_TRUE(to->asked.empty());
  EXPECT_EQ(to->stream, stream(30'000, 'a') + stream(30'000, 'b'));
}

TEST_F(TcpIoPeekTest, RoomThatNothingCameForIsLeft) {
  host_sends(stream(30'000, 'a'));
  acknowledge();
  event(EPOLLIN);  // It would block.
  ASSERT_EQ(to->asked.size(), 1U);
  EXPECT_EQ(to->left, std::vector{false});
  kernel.script("recvmsg", 0);  // Its end.
  event(EPOLLIN);
  EXPECT_EQ(to->left, (std::vector{false, false}));
  EXPECT_EQ(to->stream, stream(30'000, 'a'));
}

// The guest's memory is gone, not the host's bytes.
TEST_F(TcpIoPeekTest, WhereTheMemoryIsGoneItIsReadWithoutRoom) {
  host_sends(stream(30'000, 'a'));
  acknowledge();
  clear();
  kernel.script("recvmsg", -1, EFAULT);
  kernel.script_data("lost");
  kernel.script_data(stream(20'000, 'b'));
  event(EPOLLIN);
  EXPECT_EQ(to->left, std::vector{true});
  EXPECT_EQ(to->stream, stream(30'000, 'a') + stream(20'000, 'b'));
  EXPECT_NE(flow(c), nullptr);
}

}  // namespace
}  // namespace sluice::driver
