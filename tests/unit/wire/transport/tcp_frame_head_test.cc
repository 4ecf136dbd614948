// The head of a frame of TCP data, and all that is none.
#include "wire/transport/tcp_frame_head.h"

#include <gtest/gtest.h>

#include <functional>

#include "unit/flow/engine/guest_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

constexpr std::size_t kHead = 180;

flow::test::GuestSegment segment_of(bool v4) {
  flow::test::GuestSegment segment;
  segment.guest = flow::test::endpoint(v4 ? "10.0.2.15:40000" : "[fd00::15]:40000");
  segment.remote = flow::test::endpoint(v4 ? "198.51.100.7:80" : "[2001:db8::7]:80");
  segment.sequence = SeqNum{77};
  segment.acknowledgment = SeqNum{88};
  segment.options.timestamps = TcpTimestamps{1, 2};
  segment.payload.assign(5000, 0x5a);
  return segment;
}

Bytes frame_of(bool v4) { return flow::test::tcp_frame({}, segment_of(v4)); }

std::optional<TcpFrameHead> parse(const Bytes& frame, std::size_t head = kHead) {
  return TcpFrameHead::parse(ByteView(frame).first(head), frame.size());
}

TEST(TcpFrameHead, SaysWhatTheWholeFrameSays) {
  for (const bool v4 : {true, false}) {
    const auto segment = segment_of(v4);
    const Bytes frame = frame_of(v4);
    const auto head = parse(frame);
    ASSERT_TRUE(head.has_value()) << v4;
    EXPECT_EQ(head->sender, EthernetView::parse(frame)->source());
    EXPECT_EQ(head->source, segment.guest.address);
    EXPECT_EQ(head->destination, segment.remote.address);
    EXPECT_EQ(head->hop_limit, 64);
    EXPECT_EQ(head->payload_size, 5000U);
    EXPECT_EQ(head->segment.sequence(), segment.sequence);
    EXPECT_EQ(head->segment.acknowledgment(), segment.acknowledgment);
    EXPECT_EQ(head->segment.payload().size(), kHead - 14 - (v4 ? 20 : 40) - 32);
    EXPECT_EQ(head->tcp.data() + 32, head->segment.payload().data());
  }
}

// Each in a block of its own.
TEST(TcpFrameHead, AHeadWithoutPayloadIsNone) {
  for (const bool v4 : {true, false}) {
    const Bytes frame = frame_of(v4);
    const std::size_t headers = 14 + (v4 ? 20 : 40) + 32;
    for_each_truncation(ByteView(frame).first(headers + 1), [&](ByteView cut) {
      EXPECT_FALSE(TcpFrameHead::parse(cut, frame.size()).has_value());
    });
    EXPECT_TRUE(parse(frame, headers + 1).has_value());
    EXPECT_TRUE(parse(frame, frame.size()).has_value());
  }
}

TEST(TcpFrameHead, LengthsAreTheWholeFrames) {
  for (const bool v4 : {true, false}) {
    const Bytes frame = frame_of(v4);
    const ByteView head = ByteView(frame).first(kHead);
    EXPECT_FALSE(TcpFrameHead::parse(head, frame.size() - 1).has_value());
    EXPECT_FALSE(TcpFrameHead::parse(head, frame.size() + 1).has_value()) << "padding";
    EXPECT_FALSE(TcpFrameHead::parse(head, kHead - 1).has_value());
    EXPECT_FALSE(TcpFrameHead::parse(head, 0).has_value());
  }
}

void mend_v4(Bytes& frame) {
  const MutableBytes ip = MutableBytes(frame).subspan(14, (frame[14] & 0xfU) * std::size_t{4});
  put16<10>(ip.first<20>(), 0);
  put16<10>(ip.first<20>(), checksum_finish(checksum_add(0, ip)));
}

TEST(TcpFrameHead, WhatIsNoPlainDataIsNone) {
  struct Change {
    const char* what;
    std::function<void(Bytes&)> v4;
    std::function<void(Bytes&)> v6;
  };
  const auto flags = [](std::uint8_t bits) {
    return Change{"flags", [bits](Bytes& f) { f[14 + 20 + 13] = bits; },
                  [bits](Bytes& f) { f[14 + 40 + 13] = bits; }};
  };
  const std::vector<Change> all = {
      {"ARP", [](Bytes& f) { f[13] = 6; }, [](Bytes& f) { f[12] = 8, f[13] = 6; }},
      {"the other family", [](Bytes& f) { f[12] = 0x86, f[13] = 0xdd; },
       [](Bytes& f) { f[12] = 8, f[13] = 0; }},
      {"version", [](Bytes& f) { f[14] = 0x55; }, [](Bytes& f) { f[14] = 0x50; }},
      {"UDP", [](Bytes& f) { f[14 + 9] = 17; }, [](Bytes& f) { f[14 + 6] = 17; }},
      {"a fragment, an extension header", [](Bytes& f) { f[14 + 6] = 0x20; },
       [](Bytes& f) { f[14 + 6] = 44; }},
      {"a header that is too short, a mapped address", [](Bytes& f) { f[14] = 0x44; },
       [](Bytes& f) {
         std::fill_n(f.begin() + 14 + 8, 10, std::uint8_t{0});
         std::fill_n(f.begin() + 14 + 18, 2, std::uint8_t{0xff});
       }},
      {"data offset", [](Bytes& f) { f[14 + 20 + 12] = 0x40; },
       [](Bytes& f) { f[14 + 40 + 12] = 0x40; }},
      flags(TcpFlags::kPsh),
      flags(TcpFlags::kAck | TcpFlags::kSyn),
      flags(TcpFlags::kAck | TcpFlags::kRst)};
  for (const Change& change : all) {
    Bytes v4 = frame_of(true);
    change.v4(v4);
    if ((v4[14] & 0xf) == 5) mend_v4(v4);
    EXPECT_FALSE(parse(v4).has_value()) << change.what;
    Bytes v6 = frame_of(false);
    change.v6(v6);
    EXPECT_FALSE(parse(v6).has_value()) << change.what;
  }
  Bytes damaged = frame_of(true);
  damaged[14 + 8] ^= 1;  // The checksum of the header does not hold.
  EXPECT_FALSE(parse(damaged).has_value());
  Bytes finished = frame_of(true);
  finished[14 + 20 + 13] = TcpFlags::kAck | TcpFlags::kFin | TcpFlags::kPsh | TcpFlags::kUrg;
  EXPECT_TRUE(parse(finished).has_value());
}

}  // namespace
}  // namespace sluice::wire
