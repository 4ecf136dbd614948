#include "wire/transport/tcp.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

Bytes tcp_of_v4(std::string_view frame) { return cut_front(from_hex(frame), 14 + 20); }

TEST(Tcp, CapturedSyn) {
  const Bytes segment = tcp_of_v4(captured::kTcpSynV4);
  const auto view = TcpView::parse(segment);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->source_port(), Port{51062});
  EXPECT_EQ(view->destination_port(), Port{8080});
  EXPECT_EQ(view->sequence(), SeqNum{1310171502});
  EXPECT_EQ(view->acknowledgment(), SeqNum{0});
  EXPECT_EQ(view->flags(), kSyn);
  EXPECT_EQ(view->window(), 64240);
  EXPECT_EQ(view->header_length(), 40U);
  EXPECT_TRUE(view->payload().empty());
  const TcpOptions expected{.mss = 1460,
                            .window_scale = 10,
                            .sack_permitted = true,
                            .timestamps = TcpTimestamps{112637438, 0}};
  EXPECT_EQ(parse_tcp_options(view->options()), expected);
}

// Linux lays its options out as we do, so the header comes out byte for byte.
TEST(Tcp, ReprWritesTheCapturedHeaderAgain) {
  for (const std::string_view frame : {captured::kTcpSynV4, captured::kTcpDataV4}) {
    const Bytes segment = tcp_of_v4(frame);
    const auto view = TcpView::parse(segment);
    ASSERT_TRUE(view.has_value());
    const TcpRepr repr{.source_port = view->source_port(),
                       .destination_port = view->destination_port(),
                       .sequence = view->sequence(),
                       .acknowledgment = view->acknowledgment(),
                       .flags = view->flags(),
                       .window = view->window(),
                       .checksum = view->checksum(),
                       .urgent = view->urgent(),
                       .options = parse_tcp_options(view->options())};
    ASSERT_EQ(repr.header_length(), view->header_length());
    Bytes header(repr.header_length());
    repr.emit(header);
    EXPECT_EQ(header, copy_of(ByteView(segment).first(header.size())));
  }
}

// The capture holds the checksum of an offload: the folded pseudo-header sum.
TEST(Tcp, PartialChecksumIsWhatLinuxLeavesToAnOffload) {
  const Bytes segment = tcp_of_v4(captured::kTcpDataV4);
  EXPECT_EQ(TcpView::parse(segment)->checksum(),
            tcp_partial_checksum(ip("10.9.0.15"), ip("10.9.0.1"), segment.size()));
}

// Finishing it the way a network card does gives the complete checksum.
TEST(Tcp, CompleteChecksumFromThePartialOne) {
  Bytes segment = tcp_of_v4(captured::kTcpDataV4);
  EXPECT_FALSE(TcpView::parse(segment)->checksum_ok(ip("10.9.0.15"), ip("10.9.0.1")));
  const std::uint16_t by_card = checksum_finish(checksum_add(0, segment));
  set_tcp_checksum(segment, 0);
  const std::size_t header = TcpView::parse(segment)->header_length();
  const ByteView view(segment);
  EXPECT_EQ(tcp_checksum(ip("10.9.0.15"), ip("10.9.0.1"), view.first(header), view.subspan(header)),
            by_card);
  set_tcp_checksum(segment, by_card);
  EXPECT_TRUE(TcpView::parse(segment)->checksum_ok(ip("10.9.0.15"), ip("10.9.0.1")));
}

TEST(Tcp, EveryTruncationOfTheHeader) {
  for_each_truncation(tcp_of_v4(captured::kTcpSynV4), [](ByteView cut) {
    EXPECT_EQ(TcpView::parse(cut).error(), ParseError::kTruncated);
  });
}

TEST(Tcp, HostileDataOffset) {
  Bytes segment = tcp_of_v4(captured::kTcpSynV4);
  segment[12] = 0x40;
  EXPECT_EQ(TcpView::parse(segment).error(), ParseError::kBadLength);
  segment[12] = 0xf0;
  EXPECT_EQ(TcpView::parse(segment).error(), ParseError::kTruncated);
}

TEST(Tcp, Flags) {
  const TcpFlags all{0xff};
  EXPECT_TRUE(all.fin() && all.syn() && all.rst() && all.psh() && all.ack() && all.urg() &&
              all.ece() && all.cwr());
  const TcpFlags syn_ack = kSyn | kAck;
  EXPECT_TRUE(syn_ack.syn() && syn_ack.ack());
  EXPECT_FALSE(syn_ack.fin() || syn_ack.rst());
}

TEST(TcpOptions, SackBlocksOfAnAck) {
  const TcpOptions options =
      parse_tcp_options(from_hex("0101080a0000000100000002 0101050a0000000a00000014"));
  ASSERT_EQ(options.sacks().size(), 1U);
  EXPECT_EQ(options.sacks()[0], (SackBlock{SeqNum{10}, SeqNum{20}}));
  EXPECT_EQ(options.timestamps, (TcpTimestamps{1, 2}));
}

TEST(TcpOptions, ReadingStopsAtTheFirstMalformedOption) {
  const TcpOptions mss{.mss = 1460};
  EXPECT_EQ(parse_tcp_options(from_hex("020405b4 0300")), mss);       // length 0
  EXPECT_EQ(parse_tcp_options(from_hex("020405b4 0301 0402")), mss);  // length 1
  EXPECT_EQ(parse_tcp_options(from_hex("020405b4 080a 0000")), mss);  // past the end
  EXPECT_EQ(parse_tcp_options(from_hex("020405b4 08")), mss);         // no length
  EXPECT_EQ(parse_tcp_options(from_hex("020405b4 00 030307")), mss);  // behind the end
}

TEST(TcpOptions, WrongLengthsAndUnknownKindsAreSkipped) {
  const TcpOptions scale{.window_scale = 7};
  EXPECT_EQ(parse_tcp_options(from_hex("02050505b4 030307")), scale);
  EXPECT_EQ(parse_tcp_options(from_hex("fe04abcd 030307")), scale);
  EXPECT_EQ(parse_tcp_options(from_hex("05070000000000 030307")), scale);
}

TEST(TcpOptions, OnlyFourSackBlocksAreKept) {
  Bytes many = from_hex("052a");
  many.resize(42);
  EXPECT_EQ(parse_tcp_options(many).sack_count, 4);
}

TEST(TcpOptions, SackBlocksYieldToOtherOptions) {
  TcpOptions options{.timestamps = TcpTimestamps{1, 2}};
  for (std::uint32_t i = 0; i < 5; ++i) options.add_sack({SeqNum{i}, SeqNum{i + 1}});
  EXPECT_EQ(options.sack_count, 4);
  ASSERT_EQ(tcp_options_length(options), 40U);
  Bytes bytes(40);
  emit_tcp_options(options, bytes);
  EXPECT_EQ(parse_tcp_options(bytes).sack_count, 3);
}

TEST(TcpOptions, EveryTruncationIsHarmless) {
  const Bytes options = cut_front(tcp_of_v4(captured::kTcpSynV4), 20);
  for_each_truncation(options, [](ByteView cut) {
    const TcpOptions read = parse_tcp_options(cut);
    EXPECT_EQ(read.mss.has_value(), cut.size() >= 4);
    EXPECT_EQ(read.sack_permitted, cut.size() >= 6);
    EXPECT_EQ(read.timestamps.has_value(), cut.size() >= 16);
    EXPECT_FALSE(read.window_scale.has_value());
  });
}

}  // namespace
}  // namespace sluice::wire
