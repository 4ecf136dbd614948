// Ethernet frames: every layer above, and the line that describes them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "require.h"
#include "wire/ip/ip.h"
#include "wire/ip/quoted_packet.h"
#include "wire/link/arp.h"
#include "wire/print/pretty.h"
#include "wire/transport/tcp.h"
#include "wire/transport/udp.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

bool is_inside(ByteView part, ByteView whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

std::uint16_t slow_checksum(ByteView bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? std::uint64_t{bytes[i]} << 8 : bytes[i];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void check_arp(ByteView payload) {
  const auto arp = ArpRepr::parse(payload);
  if (!arp) return;
  std::array<std::uint8_t, ArpRepr::kSize> again{};
  arp->emit(again);
  require(std::ranges::equal(again, payload.first<ArpRepr::kSize>()), "ARP emits what it read");
}

void check_tcp(const IpPacketView& ip) {
  const auto tcp = TcpView::parse(ip.payload);
  if (!tcp) return;
  require(is_inside(tcp->options(), ip.packet), "TCP options lie inside the packet");
  require(is_inside(tcp->payload(), ip.packet), "TCP payload lies inside the packet");
  require(tcp->header_length() + tcp->payload().size() == ip.payload.size(), "TCP is all there");
  const TcpRepr repr{.source_port = tcp->source_port(),
                     .destination_port = tcp->destination_port(),
                     .sequence = tcp->sequence(),
                     .acknowledgment = tcp->acknowledgment(),
                     .flags = tcp->flags(),
                     .window = tcp->window(),
                     .checksum = tcp->checksum(),
                     .urgent = tcp->urgent(),
                     .options = parse_tcp_options(tcp->options())};
  std::array<std::uint8_t, kTcpHeaderSizeMax> again{};
  repr.emit(again);
  require(std::ranges::equal(ByteView(again).first(12), ip.payload.first(12)), "TCP first words");
  const auto reread = TcpView::parse(ByteView(again).first(repr.header_length()));
  require(reread.has_value(), "an emitted TCP header is valid");
  require(reread->flags() == tcp->flags() && reread->window() == tcp->window(), "TCP fields");
}

void check_udp(const IpPacketView& ip) {
  const auto udp = UdpView::parse(ip.payload);
  if (!udp) return;
  require(is_inside(udp->payload(), ip.packet), "UDP payload lies inside the packet");
  std::array<std::uint8_t, UdpView::kHeaderSize> again{};
  UdpRepr{udp->source_port(), udp->destination_port(),
          static_cast<std::uint16_t>(udp->payload().size()), udp->checksum()}
      .emit(again);
  require(std::ranges::equal(again, ip.payload.first<UdpView::kHeaderSize>()), "UDP header");
}

void check_ip(EtherType type, ByteView payload) {
  const auto ip = parse_ip_packet(type, payload);
  if (!ip) return;
  require(is_inside(ip->packet, payload), "the packet lies inside the frame");
  require(is_inside(ip->payload, ip->packet), "the payload lies inside the packet");
  require((ip->family == IpFamily::kV4) == ip->source.is_v4(), "the source has the family");
  require((ip->family == IpFamily::kV4) == ip->destination.is_v4(), "so has the destination");
  if (ip->fragment) return;
  if (ip->protocol == IpProtocol::kTcp) check_tcp(*ip);
  if (ip->protocol == IpProtocol::kUdp) check_udp(*ip);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView frame(data, size);
  const std::string line = pretty_frame(frame);
  require(!line.empty(), "there is always a line");
  require(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; }),
          "the line is printable");
  require(checksum_finish(checksum_add(0, frame)) == slow_checksum(frame), "both checksums agree");

  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet) return 0;
  std::array<std::uint8_t, kEthernetHeaderSize> header{};
  emit_ethernet(header, ethernet->destination(), ethernet->source(), ethernet->ether_type());
  require(std::ranges::equal(header, frame.first<kEthernetHeaderSize>()), "Ethernet header");
  if (ethernet->ether_type() == EtherType::kArp) check_arp(ethernet->payload());
  check_ip(ethernet->ether_type(), ethernet->payload());
  // A quote may be anything that came from elsewhere.
  if (const auto quoted = parse_quoted_ipv4(ethernet->payload())) {
    require(quoted->transport.size() >= 8, "a quote has ports");
  }
  if (const auto quoted = parse_quoted_ipv6(ethernet->payload())) {
    require(quoted->transport.size() >= 8, "a quote has ports");
  }
  return 0;
}
