// The services that answer the guest themselves: DHCP, DHCPv6, ARP and neighbour discovery. Any
// bytes, and whatever is answered is a well-formed frame.
//
// Input: one byte that selects the service, then the message.
#include <array>

#include "flow/lease/dhcp_server.h"
#include "flow/lease/dhcpv6_server.h"
#include "flow/lease/neighbour.h"
#include "require.h"
#include "wire/ip/ip.h"
#include "wire/link/arp.h"
#include "wire/transport/udp.h"

namespace {

using namespace sluice;

void check_frame(ByteView frame) {
  if (frame.empty()) return;
  const auto ethernet = wire::EthernetView::parse(frame);
  require(ethernet.has_value(), "an answer is an Ethernet frame");
  if (ethernet->ether_type() == wire::EtherType::kArp) {
    require(wire::ArpRepr::parse(ethernet->payload()).has_value(), "an ARP answer parses");
    return;
  }
  const auto ip = wire::parse_ip_packet(ethernet->ether_type(), ethernet->payload());
  require(ip.has_value(), "an IP answer parses");
  if (ip->protocol != wire::IpProtocol::kUdp) return;
  const auto udp = wire::UdpView::parse(ip->payload);
  require(udp.has_value() && udp->checksum_ok(ip->source, ip->destination),
          "a UDP answer has a right checksum");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  flow::GuestNetwork network;
  network.search_domains = {"example.com", "a.very.long.domain.name.of.an.organisation.example"};
  network.host_name = "guest";
  const ByteView message(data + 1, size - 1);
  std::array<std::uint8_t, 1514> out{};
  const auto frame = [&](std::size_t length) {
    require(length <= out.size(), "the frame fits its buffer");
    return ByteView(out).first(length);
  };
  switch (data[0] % 4) {
    case 0: check_frame(frame(flow::answer_dhcp(network, message, out))); break;
    case 1: {
      const flow::Dhcpv6Client client{network.guest_mac, {network.guest_v6, wire::Port{546}}};
      check_frame(frame(flow::answer_dhcpv6(network, client, message, out)));
      break;
    }
    case 2: check_frame(frame(flow::answer_arp(network, message, out).length)); break;
    case 3:
      if (const auto packet = wire::parse_ipv6_packet(message)) {
        check_frame(frame(flow::answer_ndp(network, network.guest_mac, *packet, out).length));
      }
      break;
  }
  return 0;
}
