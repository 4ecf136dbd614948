// parse(emit(x)) == x for the fixed headers.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "property/wire/wire_gen.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/ip.h"
#include "wire/link/arp.h"
#include "wire/link/virtio_net.h"
#include "wire/transport/tcp.h"
#include "wire/transport/udp.h"

namespace sluice::wire {
namespace {

RC_GTEST_PROP(HeaderProperty, Ethernet, ()) {
  const MacAddress destination = random::mac();
  const MacAddress source = random::mac();
  const EtherType type{random::any<std::uint16_t>()};
  std::array<std::uint8_t, kEthernetHeaderSize> bytes{};
  emit_ethernet(bytes, destination, source, type);
  const auto view = EthernetView::parse(bytes);
  RC_ASSERT(view.has_value());
  RC_ASSERT(view->destination() == destination);
  RC_ASSERT(view->source() == source);
  RC_ASSERT(view->ether_type() == type);
}

RC_GTEST_PROP(HeaderProperty, Arp, ()) {
  const ArpRepr repr{random::any<bool>() ? ArpOperation::kRequest : ArpOperation::kReply,
                     random::mac(), random::v4(), random::mac(), random::v4()};
  std::array<std::uint8_t, ArpRepr::kSize> bytes{};
  repr.emit(bytes);
  RC_ASSERT((ArpRepr::parse(bytes) == repr));
}

RC_GTEST_PROP(HeaderProperty, Ipv4, ()) {
  const auto payload = random::bytes(0, 100);
  const Ipv4Repr repr{
      .source = random::v4(),
      .destination = random::v4(),
      .protocol = IpProtocol{random::any<std::uint8_t>()},
      .ttl = random::any<std::uint8_t>(),
      .payload_length = static_cast<std::uint16_t>(payload.size()),
      .identification = random::any<std::uint16_t>(),
      .dont_fragment = random::any<bool>(),
      .tos = random::any<std::uint8_t>(),
      .more_fragments = random::any<bool>(),
      .fragment_offset = static_cast<std::uint16_t>(random::between<unsigned>(0, 0x1fff) * 8)};
  random::Bytes bytes(Ipv4View::kHeaderSize);
  repr.emit(MutableBytes(bytes).first<Ipv4View::kHeaderSize>());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  const auto view = Ipv4View::parse(bytes);
  RC_ASSERT(view.has_value());
  RC_ASSERT(view->header_checksum_ok());
  RC_ASSERT(std::ranges::equal(view->payload(), payload));
  const Ipv4Repr again{.source = view->source(),
                       .destination = view->destination(),
                       .protocol = view->protocol(),
                       .ttl = view->ttl(),
                       .payload_length = static_cast<std::uint16_t>(view->payload().size()),
                       .identification = view->identification(),
                       .dont_fragment = view->dont_fragment(),
                       .tos = view->dscp_ecn(),
                       .more_fragments = view->more_fragments(),
                       .fragment_offset = static_cast<std::uint16_t>(view->fragment_offset())};
  RC_ASSERT(again == repr);
}

RC_GTEST_PROP(HeaderProperty, Ipv6, ()) {
  const auto payload = random::bytes(0, 100);
  const Ipv6Repr repr{.source = random::v6(),
                      .destination = random::v6(),
                      .next_header = random::any<bool>() ? IpProtocol::kTcp : IpProtocol::kUdp,
                      .hop_limit = random::any<std::uint8_t>(),
                      .payload_length = static_cast<std::uint16_t>(payload.size()),
                      .traffic_class = random::any<std::uint8_t>(),
                      .flow_label = random::between<std::uint32_t>(0, 0xf'ffff)};
  random::Bytes bytes(Ipv6View::kHeaderSize);
  repr.emit(MutableBytes(bytes).first<Ipv6View::kHeaderSize>());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  const auto view = Ipv6View::parse(bytes);
  RC_ASSERT(view.has_value());
  RC_ASSERT(std::ranges::equal(view->payload(), payload));
  const Ipv6Repr again{.source = view->source(),
                       .destination = view->destination(),
                       .next_header = view->next_header(),
                       .hop_limit = view->hop_limit(),
                       .payload_length = static_cast<std::uint16_t>(view->payload().size()),
                       .traffic_class = view->traffic_class(),
                       .flow_label = view->flow_label()};
  RC_ASSERT(again == repr);
}

TcpOptions random_tcp_options() {
  TcpOptions options{.mss = random::maybe_u16(),
                     .window_scale = random::maybe(random::any<std::uint8_t>),
                     .sack_permitted = random::any<bool>()};
  if (random::any<bool>()) {
    options.timestamps = {random::any<std::uint32_t>(), random::any<std::uint32_t>()};
  }
  // As many blocks as are sure to fit: 40 - 20 for the others - 4 leaves two.
  const auto blocks = random::between<int>(0, 2);
  for (int i = 0; i < blocks; ++i) {
    options.add_sack({SeqNum{random::any<std::uint32_t>()}, SeqNum{random::any<std::uint32_t>()}});
  }
  return options;
}

RC_GTEST_PROP(HeaderProperty, Tcp, ()) {
  const TcpRepr repr{.source_port = random::port(),
                     .destination_port = random::port(),
                     .sequence = SeqNum{random::any<std::uint32_t>()},
                     .acknowledgment = SeqNum{random::any<std::uint32_t>()},
                     .flags = TcpFlags{random::any<std::uint8_t>()},
                     .window = random::any<std::uint16_t>(),
                     .checksum = random::any<std::uint16_t>(),
                     .urgent = random::any<std::uint16_t>(),
                     .options = random_tcp_options()};
  random::Bytes bytes(repr.header_length());
  repr.emit(bytes);
  const auto view = TcpView::parse(bytes);
  RC_ASSERT(view.has_value());
  RC_ASSERT(view->payload().empty());
  const TcpRepr again{.source_port = view->source_port(),
                      .destination_port = view->destination_port(),
                      .sequence = view->sequence(),
                      .acknowledgment = view->acknowledgment(),
                      .flags = view->flags(),
                      .window = view->window(),
                      .checksum = view->checksum(),
                      .urgent = view->urgent(),
                      .options = parse_tcp_options(view->options())};
  RC_ASSERT(again == repr);
}

RC_GTEST_PROP(HeaderProperty, Udp, ()) {
  const auto payload = random::bytes(0, 100);
  const UdpRepr repr{random::port(), random::port(), static_cast<std::uint16_t>(payload.size()),
                     random::any<std::uint16_t>()};
  random::Bytes bytes(UdpView::kHeaderSize);
  repr.emit(MutableBytes(bytes).first<UdpView::kHeaderSize>());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  const auto view = UdpView::parse(bytes);
  RC_ASSERT(view.has_value());
  RC_ASSERT(std::ranges::equal(view->payload(), payload));
  const UdpRepr again{view->source_port(), view->destination_port(),
                      static_cast<std::uint16_t>(view->payload().size()), view->checksum()};
  RC_ASSERT(again == repr);
}

RC_GTEST_PROP(HeaderProperty, Icmp, ()) {
  const auto payload = random::bytes(0, 100);
  const IcmpRepr repr{IcmpType{random::any<std::uint8_t>()}, random::any<std::uint8_t>(),
                      random::any<std::uint16_t>(), random::any<std::uint16_t>()};
  random::Bytes bytes(IcmpView::kHeaderSize);
  repr.emit(MutableBytes(bytes).first<IcmpView::kHeaderSize>(), payload);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  const auto view = IcmpView::parse(bytes);
  RC_ASSERT(view.has_value());
  RC_ASSERT(view->checksum_ok());
  RC_ASSERT(IcmpRepr::from(*view) == repr);
}

RC_GTEST_PROP(HeaderProperty, Icmpv6, ()) {
  const auto payload = random::bytes(0, 100);
  const IpAddress source = random::v6();
  const IpAddress destination = random::v6();
  const Icmpv6Repr repr{Icmpv6Type{random::any<std::uint8_t>()}, random::any<std::uint8_t>(),
                        random::any<std::uint32_t>()};
  random::Bytes bytes(Icmpv6View::kHeaderSize);
  repr.emit(MutableBytes(bytes).first<Icmpv6View::kHeaderSize>(), payload, source, destination);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  const auto view = Icmpv6View::parse(bytes);
  RC_ASSERT(view.has_value());
  RC_ASSERT(view->checksum_ok(source, destination));
  RC_ASSERT(Icmpv6Repr::from(*view) == repr);
}

RC_GTEST_PROP(HeaderProperty, VirtioNet, ()) {
  const VirtioNetHeader header{.flags = random::any<std::uint8_t>(),
                               .gso_type = random::any<std::uint8_t>(),
                               .hdr_len = random::any<std::uint16_t>(),
                               .gso_size = random::any<std::uint16_t>(),
                               .csum_start = random::any<std::uint16_t>(),
                               .csum_offset = random::any<std::uint16_t>(),
                               .num_buffers = random::any<std::uint16_t>()};
  std::array<std::uint8_t, VirtioNetHeader::kSize> bytes{};
  header.emit(bytes);
  RC_ASSERT(VirtioNetHeader::parse(bytes) == header);
}

}  // namespace
}  // namespace sluice::wire
