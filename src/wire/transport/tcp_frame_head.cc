#include "wire/transport/tcp_frame_head.h"

#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"
#include "wire/link/ethernet.h"

namespace sluice::wire {
namespace {

struct IpHead {
  std::uint8_t hop_limit = 0;
  IpAddress source;
  IpAddress destination;
  std::size_t header_length = 0;
};

// `length` is the packet's, of which `head` is the beginning.
[[nodiscard]] std::optional<IpHead> parse_ipv4(ByteView head, std::size_t length) {
  if (head.size() < Ipv4View::kHeaderSize) return std::nullopt;
  const FixedView<Ipv4View::kHeaderSize> fixed = head.first<Ipv4View::kHeaderSize>();
  const std::size_t header_length = (fixed[0] & 0xfU) * std::size_t{4};
  const bool fits = header_length >= Ipv4View::kHeaderSize && header_length <= head.size();
  const bool fragment = (be16<6>(fixed) & 0x3fffU) != 0;
  if (fixed[0] >> 4 != 4 || !fits || be16<2>(fixed) != length || fragment ||
      IpProtocol{fixed[9]} != IpProtocol::kTcp ||
      checksum_finish(checksum_add(0, head.first(header_length))) != 0) {
    return std::nullopt;
  }
  return IpHead{.hop_limit = fixed[8],
                .source = IpAddress::v4(fixed.subspan<12, 4>()),
                .destination = IpAddress::v4(fixed.subspan<16, 4>()),
                .header_length = header_length};
}

[[nodiscard]] std::optional<IpHead> parse_ipv6(ByteView head, std::size_t length) {
  if (head.size() < Ipv6View::kHeaderSize) return std::nullopt;
  const FixedView<Ipv6View::kHeaderSize> fixed = head.first<Ipv6View::kHeaderSize>();
  const IpHead ip{.hop_limit = fixed[7],
                  .source = IpAddress::v6(fixed.subspan<8, 16>()),
                  .destination = IpAddress::v6(fixed.subspan<24, 16>()),
                  .header_length = Ipv6View::kHeaderSize};
  if (fixed[0] >> 4 != 6 || be16<4>(fixed) + Ipv6View::kHeaderSize != length ||
      IpProtocol{fixed[6]} != IpProtocol::kTcp || ip.source.is_v4() || ip.destination.is_v4()) {
    return std::nullopt;
  }
  return ip;
}

}  // namespace

std::optional<TcpFrameHead> TcpFrameHead::parse(ByteView head, std::size_t length) {
  const auto ethernet = EthernetView::parse(head);
  if (!ethernet || length < head.size()) return std::nullopt;
  const ByteView packet = ethernet->payload();
  const std::size_t packet_length = length - kEthernetHeaderSize;
  std::optional<IpHead> ip;
  if (ethernet->ether_type() == EtherType::kIpv4) ip = parse_ipv4(packet, packet_length);
  if (ethernet->ether_type() == EtherType::kIpv6) ip = parse_ipv6(packet, packet_length);
  if (!ip) return std::nullopt;
  const ByteView tcp = packet.subspan(ip->header_length);
  const auto segment = TcpView::parse(tcp);
  if (!segment || segment->payload().empty()) return std::nullopt;
  const TcpFlags flags = segment->flags();
  if (!flags.ack() || flags.syn() || flags.rst()) return std::nullopt;
  return TcpFrameHead{.sender = ethernet->source(),
                      .hop_limit = ip->hop_limit,
                      .source = ip->source,
                      .destination = ip->destination,
                      .tcp = tcp,
                      .segment = *segment,
                      .payload_size = static_cast<std::uint32_t>(packet_length - ip->header_length -
                                                                 segment->header_length())};
}

}  // namespace sluice::wire
