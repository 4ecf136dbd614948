#include "wire/link/virtio_net.h"

#include <gtest/gtest.h>

#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

// What Linux writes for a TSO frame: checksum at 34 + 16, segments of 1448 bytes.
TEST(VirtioNet, TsoFrameOfATap) {
  const Bytes bytes = from_hex("01 01 4200 a805 2200 1000 0100");
  const VirtioNetHeader expected{.flags = VirtioNetHeader::kNeedsCsum,
                                 .gso_type = VirtioNetHeader::kGsoTcpV4,
                                 .hdr_len = 66,
                                 .gso_size = 1448,
                                 .csum_start = 34,
                                 .csum_offset = 16,
                                 .num_buffers = 1};
  const VirtioNetHeader header = VirtioNetHeader::parse(ByteView(bytes).first<12>());
  EXPECT_EQ(header, expected);
  EXPECT_TRUE(header.needs_checksum());

  Bytes again(12);
  header.emit(MutableBytes(again).first<12>());
  EXPECT_EQ(again, bytes);
}

TEST(VirtioNet, LegacyFormHasNoBufferCount) {
  const Bytes bytes = from_hex("02 84 4200 a805 2200 1000");
  const VirtioNetHeader header = VirtioNetHeader::parse_legacy(ByteView(bytes).first<10>());
  EXPECT_EQ(header.num_buffers, 0);
  EXPECT_EQ(header.gso_kind(), VirtioNetHeader::kGsoTcpV6);  // ECN is a flag beside the kind.
  EXPECT_FALSE(header.needs_checksum());
  Bytes again(10);
  header.emit_legacy(MutableBytes(again).first<10>());
  EXPECT_EQ(again, bytes);
}

}  // namespace
}  // namespace sluice::wire
