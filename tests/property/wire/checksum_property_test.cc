#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "property/wire/wire_gen.h"
#include "wire/checksum.h"
#include "wire/seq_num.h"

namespace sluice::wire {
namespace {

std::uint16_t slow_checksum(ByteView bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? std::uint64_t{bytes[i]} << 8 : bytes[i];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

RC_GTEST_PROP(ChecksumProperty, FastEqualsSlow, ()) {
  const auto bytes = random::bytes(0, 600);
  RC_ASSERT(checksum_finish(checksum_add(0, bytes)) == slow_checksum(bytes));
}

RC_GTEST_PROP(ChecksumProperty, PiecesEqualTheWhole, ()) {
  const auto bytes = random::bytes(2, 300);
  const ByteView view(bytes);
  const std::size_t cut = random::between<std::size_t>(0, bytes.size() / 2) * 2;
  const std::uint32_t pieces = checksum_add(checksum_add(0, view.first(cut)), view.subspan(cut));
  RC_ASSERT(checksum_finish(pieces) == checksum_finish(checksum_add(0, view)));
}

// The field is part of what is summed, as in every header, so the sum is never zero.
RC_GTEST_PROP(ChecksumProperty, IncrementalEqualsFull, ()) {
  auto bytes = random::bytes(20, 60);
  bytes[0] = 0x45;
  const std::size_t at = random::between<std::size_t>(1, 4) * 4;
  const auto word = MutableBytes(bytes).subspan(at).first<4>();
  const std::uint32_t old_value = be32<0>(word);
  const std::uint16_t before = checksum_finish(checksum_add(0, bytes));
  const auto new_value = random::any<std::uint32_t>();
  put32<0>(word, new_value);
  const std::uint16_t full = checksum_finish(checksum_add(0, bytes));
  RC_ASSERT(checksum_update32(before, old_value, new_value) == full);

  const auto high = static_cast<std::uint16_t>(new_value >> 16);
  const auto next = random::any<std::uint16_t>();
  put16<0>(word.first<2>(), next);
  RC_ASSERT(checksum_update16(full, high, next) == checksum_finish(checksum_add(0, bytes)));
}

RC_GTEST_PROP(ChecksumProperty, PseudoHeaderEqualsItsBytes, ()) {
  const bool v4 = random::any<bool>();
  const IpAddress source = v4 ? random::v4() : random::v6();
  const IpAddress destination = v4 ? random::v4() : random::v6();
  const auto length = random::any<std::uint16_t>();
  random::Bytes header;
  const auto add = [&header](ByteView part) {
    header.insert(header.end(), part.begin(), part.end());
  };
  if (v4) {
    add(source.v4_octets());
    add(destination.v4_octets());
  } else {
    add(source.octets());
    add(destination.octets());
  }
  const random::Bytes rest{0, 17, static_cast<std::uint8_t>(length >> 8),
                           static_cast<std::uint8_t>(length)};
  add(rest);
  RC_ASSERT(checksum_fold(pseudo_header_sum(source, destination, IpProtocol::kUdp, length)) ==
            checksum_fold(checksum_add(0, header)));
}

RC_GTEST_PROP(SeqNumProperty, OrderWithinHalfTheCircle, ()) {
  const SeqNum a{random::any<std::uint32_t>()};
  const auto step = random::between<std::uint32_t>(1, 0x7fff'fffe);
  const SeqNum b = a + step;
  RC_ASSERT(a < b);
  RC_ASSERT(a <= b);
  RC_ASSERT(!(b < a));
  RC_ASSERT(!(b <= a));
  RC_ASSERT(b > a);
  RC_ASSERT(b - a == static_cast<std::int32_t>(step));
  RC_ASSERT(b - step == a);
}

}  // namespace
}  // namespace sluice::wire
