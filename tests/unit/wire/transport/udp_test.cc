#include "wire/transport/udp.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

TEST(Udp, CapturedQuery) {
  const Bytes datagram = cut_front(from_hex(captured::kDnsQuery), 14 + 20);
  const auto view = UdpView::parse(datagram);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->source_port(), Port{39905});
  EXPECT_EQ(view->destination_port(), Port{53});
  EXPECT_EQ(view->payload().size(), 52U);

  Bytes header(UdpView::kHeaderSize);
  UdpRepr{view->source_port(), view->destination_port(), 52, view->checksum()}.emit(
      MutableBytes(header).first<UdpView::kHeaderSize>());
  EXPECT_EQ(header, copy_of(ByteView(datagram).first(UdpView::kHeaderSize)));
}

TEST(Udp, EveryTruncation) {
  for_each_truncation(cut_front(from_hex(captured::kDnsQuery), 14 + 20), [](ByteView cut) {
    EXPECT_EQ(UdpView::parse(cut).error(), ParseError::kTruncated);
  });
}

TEST(Udp, LengthBelowTheHeader) {
  EXPECT_EQ(UdpView::parse(from_hex("0035 0035 0007 0000")).error(), ParseError::kBadLength);
}

TEST(Udp, PaddingBehindTheLengthIsDropped) {
  const Bytes datagram = from_hex("0035 0035 0009 0000 aa bbbb");
  const auto view = UdpView::parse(datagram);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(copy_of(view->payload()), from_hex("aa"));
}

TEST(Udp, Checksum) {
  Bytes datagram(8 + 3, 0x5a);
  const MutableBytes bytes(datagram);
  UdpRepr repr{Port{1}, Port{2}, 3, 0};
  repr.emit(bytes.first<8>());
  for (const auto& [from, to] :
       {std::pair{ip("10.0.0.1"), ip("10.0.0.2")}, std::pair{ip("fd00::1"), ip("fd00::2")}}) {
    repr.checksum = 0;
    repr.emit(bytes.first<8>());
    // Without a checksum only IPv4 may send.
    EXPECT_EQ(UdpView::parse(datagram)->checksum_ok(from, to), from.is_v4());
    repr.checksum = udp_checksum(from, to, bytes.first<8>(), bytes.subspan(8));
    repr.emit(bytes.first<8>());
    EXPECT_TRUE(UdpView::parse(datagram)->checksum_ok(from, to));
    datagram[9] ^= 1;
    EXPECT_FALSE(UdpView::parse(datagram)->checksum_ok(from, to));
    datagram[9] ^= 1;
  }
}

}  // namespace
}  // namespace sluice::wire
