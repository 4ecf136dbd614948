// ICMP, ICMPv6 and Neighbor Discovery. The first byte of the input chooses: 6 is ICMPv6.
#include <array>
#include <cstdint>
#include <vector>

#include "require.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/ndp.h"
#include "wire/ip/quoted_packet.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

const IpAddress kSource = IpAddress::v6(std::array<std::uint8_t, 16>{0xfd, 0x09});
const IpAddress kDestination = IpAddress::v6(std::array<std::uint8_t, 16>{0xff, 0x02});

void check_icmp(ByteView bytes) {
  const auto icmp = IcmpView::parse(bytes);
  if (!icmp) return;
  std::vector<std::uint8_t> out(bytes.begin(), bytes.end());
  IcmpRepr::from(*icmp).emit(MutableBytes(out).first<IcmpView::kHeaderSize>(), icmp->payload());
  const auto again = IcmpView::parse(out);
  require(again && again->checksum_ok(), "an emitted message has a correct checksum");
  require(IcmpRepr::from(*again) == IcmpRepr::from(*icmp), "and the same fields");
  if (icmp->is_error()) (void)parse_quoted_ipv4(icmp->payload());
}

void check_icmpv6(ByteView bytes) {
  const auto icmp = Icmpv6View::parse(bytes);
  if (!icmp) return;
  std::vector<std::uint8_t> out(bytes.begin(), bytes.end());
  Icmpv6Repr::from(*icmp).emit(MutableBytes(out).first<Icmpv6View::kHeaderSize>(), icmp->payload(),
                               kSource, kDestination);
  const auto again = Icmpv6View::parse(out);
  require(again && again->checksum_ok(kSource, kDestination), "the checksum is correct");
  require(Icmpv6Repr::from(*again) == Icmpv6Repr::from(*icmp), "and the fields are the same");
  if (icmp->is_error()) (void)parse_quoted_ipv6(icmp->payload());
}

void check_ndp(ByteView bytes) {
  const auto icmp = Icmpv6View::parse(bytes);
  if (!icmp) return;
  const auto message = parse_ndp(*icmp);
  if (!message) return;
  std::vector<std::uint8_t> out(bytes.size() + 64);
  const auto length = emit_ndp(*message, kSource, kDestination, out);
  require(length.has_value(), "a message that was read can be written");
  const auto again = Icmpv6View::parse(ByteView(out).first(*length));
  require(again && again->checksum_ok(kSource, kDestination), "with a correct checksum");
  const auto reread = parse_ndp(*again);
  require(reread && *reread == *message, "and it is the same message");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  if (data[0] == 6) {
    check_icmpv6(bytes);
    check_ndp(bytes);
  } else {
    check_icmp(bytes);
  }
  return 0;
}
