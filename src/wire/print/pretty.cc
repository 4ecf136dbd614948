#include "wire/print/pretty.h"

#include <fmt/core.h>

#include "base/overloaded.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/ip.h"
#include "wire/ip/ndp.h"
#include "wire/ip/quoted_packet.h"
#include "wire/link/arp.h"
#include "wire/messages/dhcp.h"
#include "wire/messages/dhcpv6.h"
#include "wire/messages/dns.h"
#include "wire/transport/tcp.h"
#include "wire/transport/udp.h"

namespace sluice::wire {
namespace {

constexpr Port kDnsPort{53};

std::string invalid(std::string_view what, ParseError error) {
  return fmt::format("{} [{}]", what, to_string(error));
}

std::string pretty_ports(const IpPacketView& ip, Port source, Port destination) {
  return fmt::format("{} > {}", to_string(Endpoint{ip.source, source}),
                     to_string(Endpoint{ip.destination, destination}));
}

std::string pretty_hosts(const IpPacketView& ip) {
  return fmt::format("{} > {}", to_string(ip.source), to_string(ip.destination));
}

// TCP

std::string pretty_flags(TcpFlags flags) {
  std::string text;
  if (flags.syn()) text += 'S';
  if (flags.fin()) text += 'F';
  if (flags.rst()) text += 'R';
  if (flags.psh()) text += 'P';
  if (flags.urg()) text += 'U';
  if (flags.ece()) text += 'E';
  if (flags.cwr()) text += 'W';
  if (flags.ack()) text += '.';
  return text.empty() ? "none" : text;
}

std::string pretty_options(const TcpOptions& options) {
  std::string text;
  const auto add = [&text](std::string&& option) {
    text += text.empty() ? "" : ",";
    text += option;
  };
  if (options.mss) add(fmt::format("mss {}", *options.mss));
  if (options.sack_permitted) add("sackOK");
  if (options.timestamps) {
    add(fmt::format("ts {}:{}", options.timestamps->value, options.timestamps->echo));
  }
  if (options.window_scale) add(fmt::format("ws {}", *options.window_scale));
  for (const SackBlock& block : options.sacks()) {
    add(fmt::format("sack {}:{}", block.left.value, block.right.value));
  }
  return text.empty() ? text : " <" + text + ">";
}

std::string pretty_tcp(const IpPacketView& ip) {
  const auto tcp = TcpView::parse(ip.payload);
  if (!tcp) return pretty_hosts(ip) + " " + invalid("tcp", tcp.error());
  const auto ack = tcp->flags().ack() ? fmt::format(" ack {}", tcp->acknowledgment().value) : "";
  return fmt::format("{} tcp {} seq {}{} win {}{} len {}",
                     pretty_ports(ip, tcp->source_port(), tcp->destination_port()),
                     pretty_flags(tcp->flags()), tcp->sequence().value, ack, tcp->window(),
                     pretty_options(parse_tcp_options(tcp->options())), tcp->payload().size());
}

// UDP and what it carries

std::string pretty_dns_type(DnsType type) {
  switch (type) {
    case DnsType::kA: return "A";
    case DnsType::kNs: return "NS";
    case DnsType::kCname: return "CNAME";
    case DnsType::kSoa: return "SOA";
    case DnsType::kPtr: return "PTR";
    case DnsType::kMx: return "MX";
    case DnsType::kTxt: return "TXT";
    case DnsType::kAaaa: return "AAAA";
    case DnsType::kSrv: return "SRV";
    case DnsType::kOpt: return "OPT";
    case DnsType::kSvcb: return "SVCB";
    case DnsType::kHttps: return "HTTPS";
    case DnsType::kAny: return "ANY";
  }
  return fmt::format("type {}", static_cast<unsigned>(type));
}

std::string pretty_dns(ByteView payload) {
  const auto dns = DnsView::parse(payload);
  if (!dns) return invalid("dns", dns.error());
  const DnsHeader& header = dns->header();
  std::string text = fmt::format("dns {} id {}", header.response ? "reply" : "query", header.id);
  if (const auto& question = dns->question()) {
    text += fmt::format(" {} {}", pretty_dns_type(question->type), question->name.to_text());
  }
  if (header.response) {
    text += fmt::format(" rcode {} answers {}{}", static_cast<unsigned>(header.rcode),
                        header.answer_count, header.truncated ? " truncated" : "");
  }
  return text;
}

std::string_view name_of(DhcpMessageType type) {
  switch (type) {
    case DhcpMessageType::kDiscover: return "discover";
    case DhcpMessageType::kOffer: return "offer";
    case DhcpMessageType::kRequest: return "request";
    case DhcpMessageType::kDecline: return "decline";
    case DhcpMessageType::kAck: return "ack";
    case DhcpMessageType::kNak: return "nak";
    case DhcpMessageType::kRelease: return "release";
    case DhcpMessageType::kInform: return "inform";
  }
  return "unknown";
}

std::string pretty_dhcp(ByteView payload) {
  const auto dhcp = DhcpMessage::parse(payload);
  if (!dhcp) return invalid("dhcp", dhcp.error());
  std::string text = fmt::format("dhcp {} xid {:08x} mac {}", name_of(dhcp->type),
                                 dhcp->transaction_id, to_string(dhcp->client_mac));
  if (!dhcp->your_address.is_unspecified()) text += " your " + to_string(dhcp->your_address);
  return text;
}

std::string_view name_of(Dhcpv6MessageType type) {
  switch (type) {
    case Dhcpv6MessageType::kSolicit: return "solicit";
    case Dhcpv6MessageType::kAdvertise: return "advertise";
    case Dhcpv6MessageType::kRequest: return "request";
    case Dhcpv6MessageType::kConfirm: return "confirm";
    case Dhcpv6MessageType::kRenew: return "renew";
    case Dhcpv6MessageType::kRebind: return "rebind";
    case Dhcpv6MessageType::kReply: return "reply";
    case Dhcpv6MessageType::kRelease: return "release";
    case Dhcpv6MessageType::kDecline: return "decline";
    case Dhcpv6MessageType::kReconfigure: return "reconfigure";
    case Dhcpv6MessageType::kInformationRequest: return "information request";
  }
  return "unknown";
}

std::string pretty_dhcpv6(ByteView payload) {
  const auto dhcp = Dhcpv6Message::parse(payload);
  if (!dhcp) return invalid("dhcpv6", dhcp.error());
  return fmt::format("dhcpv6 {} xid {:06x}", name_of(dhcp->type), dhcp->transaction_id);
}

std::string pretty_udp(const IpPacketView& ip) {
  const auto udp = UdpView::parse(ip.payload);
  if (!udp) return pretty_hosts(ip) + " " + invalid("udp", udp.error());
  const Port from = udp->source_port();
  const Port to = udp->destination_port();
  const auto uses = [from, to](Port port) { return from == port || to == port; };
  const std::string ports = pretty_ports(ip, from, to);
  const std::string length = fmt::format(" len {}", udp->payload().size());
  if (uses(kDnsPort)) return ports + " " + pretty_dns(udp->payload()) + length;
  if (uses(kDhcpServerPort)) return ports + " " + pretty_dhcp(udp->payload()) + length;
  if (uses(kDhcpv6ServerPort)) return ports + " " + pretty_dhcpv6(udp->payload()) + length;
  return ports + " udp" + length;
}

// ICMP

std::string pretty_quote(const std::expected<QuotedPacket, ParseError>& quoted) {
  if (!quoted) return invalid(" about a packet", quoted.error());
  const bool has_ports =
      quoted->protocol == IpProtocol::kTcp || quoted->protocol == IpProtocol::kUdp;
  if (!has_ports) {
    return fmt::format(" about {} > {} protocol {}", to_string(quoted->source),
                       to_string(quoted->destination), static_cast<unsigned>(quoted->protocol));
  }
  return fmt::format(" about {} > {} {}",
                     to_string(Endpoint{quoted->source, quoted->source_port()}),
                     to_string(Endpoint{quoted->destination, quoted->destination_port()}),
                     quoted->protocol == IpProtocol::kTcp ? "tcp" : "udp");
}

std::string describe_icmp(const IcmpView& icmp) {
  switch (icmp.type()) {
    case IcmpType::kEchoReply:
    case IcmpType::kEchoRequest:
      return fmt::format("echo {} id {} seq {}",
                         icmp.type() == IcmpType::kEchoReply ? "reply" : "request",
                         icmp.identifier(), icmp.sequence_number());
    case IcmpType::kDestinationUnreachable:
      if (icmp.code() == static_cast<std::uint8_t>(IcmpUnreachable::kFragmentationNeeded)) {
        return fmt::format("fragmentation needed mtu {}", icmp.next_hop_mtu());
      }
      return fmt::format("unreachable code {}", icmp.code());
    case IcmpType::kTimeExceeded: return fmt::format("time exceeded code {}", icmp.code());
    case IcmpType::kParameterProblem: return fmt::format("parameter problem code {}", icmp.code());
    case IcmpType::kRedirect: return "redirect";
  }
  return fmt::format("type {} code {}", static_cast<unsigned>(icmp.type()), icmp.code());
}

std::string pretty_icmp(const IpPacketView& ip) {
  const auto icmp = IcmpView::parse(ip.payload);
  if (!icmp) return pretty_hosts(ip) + " " + invalid("icmp", icmp.error());
  return fmt::format("{} icmp {}{} len {}", pretty_hosts(ip), describe_icmp(*icmp),
                     icmp->is_error() ? pretty_quote(parse_quoted_ipv4(icmp->payload())) : "",
                     icmp->payload().size());
}

std::string pretty_ndp(const NdpMessage& message) {
  return std::visit(
      Overloaded{
          [](const RouterSolicitation&) -> std::string { return "router solicitation"; },
          [](const RouterAdvertisement& ra) {
            std::string text =
                fmt::format("router advertisement lifetime {}s", ra.router_lifetime_seconds);
            for (const PrefixInformation& prefix : ra.prefixes) {
              text += fmt::format(" prefix {}/{}", to_string(prefix.prefix), prefix.length);
            }
            return text;
          },
          [](const NeighborSolicitation& ns) {
            return fmt::format("neighbor solicitation who has {}", to_string(ns.target));
          },
          [](const NeighborAdvertisement& na) {
            return fmt::format("neighbor advertisement {} is at {}", to_string(na.target),
                               na.target_link_address ? to_string(*na.target_link_address) : "?");
          },
      },
      message);
}

std::string describe_icmpv6(const Icmpv6View& icmp) {
  if (const auto ndp = parse_ndp(icmp)) return pretty_ndp(*ndp);
  switch (icmp.type()) {
    case Icmpv6Type::kEchoRequest:
    case Icmpv6Type::kEchoReply:
      return fmt::format("echo {} id {} seq {}",
                         icmp.type() == Icmpv6Type::kEchoReply ? "reply" : "request",
                         icmp.identifier(), icmp.sequence_number());
    case Icmpv6Type::kDestinationUnreachable:
      return fmt::format("unreachable code {}", icmp.code());
    case Icmpv6Type::kPacketTooBig: return fmt::format("packet too big mtu {}", icmp.mtu());
    case Icmpv6Type::kTimeExceeded: return fmt::format("time exceeded code {}", icmp.code());
    case Icmpv6Type::kParameterProblem:
      return fmt::format("parameter problem code {}", icmp.code());
    case Icmpv6Type::kMulticastListenerQuery: return "multicast listener query";
    case Icmpv6Type::kMulticastListenerReport:
    case Icmpv6Type::kMulticastListenerReportV2: return "multicast listener report";
    case Icmpv6Type::kMulticastListenerDone: return "multicast listener done";
    case Icmpv6Type::kRouterSolicitation:
    case Icmpv6Type::kRouterAdvertisement:
    case Icmpv6Type::kNeighborSolicitation:
    case Icmpv6Type::kNeighborAdvertisement: return "malformed neighbor discovery";
  }
  return fmt::format("type {} code {}", static_cast<unsigned>(icmp.type()), icmp.code());
}

std::string pretty_icmpv6(const IpPacketView& ip) {
  const auto icmp = Icmpv6View::parse(ip.payload);
  if (!icmp) return pretty_hosts(ip) + " " + invalid("icmpv6", icmp.error());
  return fmt::format("{} icmpv6 {}{} len {}", pretty_hosts(ip), describe_icmpv6(*icmp),
                     icmp->is_error() ? pretty_quote(parse_quoted_ipv6(icmp->payload())) : "",
                     icmp->payload().size());
}

// IP and Ethernet

std::string pretty_ip(EtherType type, ByteView packet) {
  const auto ip = parse_ip_packet(type, packet);
  if (!ip) return invalid(type == EtherType::kIpv4 ? "ipv4" : "ipv6", ip.error());
  if (const auto& fragment = ip->fragment) {
    return fmt::format("{} fragment id {} offset {}{} protocol {} len {}", pretty_hosts(*ip),
                       fragment->identification, fragment->offset, fragment->more ? "+" : "",
                       static_cast<unsigned>(ip->protocol), ip->payload.size());
  }
  if (ip->protocol == IpProtocol::kTcp) return pretty_tcp(*ip);
  if (ip->protocol == IpProtocol::kUdp) return pretty_udp(*ip);
  if (ip->protocol == IpProtocol::kIcmp && ip->family == IpFamily::kV4) return pretty_icmp(*ip);
  if (ip->protocol == IpProtocol::kIcmpv6 && ip->family == IpFamily::kV6) return pretty_icmpv6(*ip);
  return fmt::format("{} protocol {} len {}", pretty_hosts(*ip),
                     static_cast<unsigned>(ip->protocol), ip->payload.size());
}

std::string pretty_arp(ByteView packet) {
  const auto arp = ArpRepr::parse(packet);
  if (!arp) return invalid("arp", arp.error());
  if (arp->operation == ArpOperation::kRequest) {
    return fmt::format("arp who has {} tell {} ({})", to_string(arp->target_ip),
                       to_string(arp->sender_ip), to_string(arp->sender_mac));
  }
  return fmt::format("arp {} is at {}", to_string(arp->sender_ip), to_string(arp->sender_mac));
}

}  // namespace

std::string pretty_frame(ByteView ethernet_frame) {
  const auto ethernet = EthernetView::parse(ethernet_frame);
  if (!ethernet) return invalid("ethernet", ethernet.error());
  switch (ethernet->ether_type()) {
    case EtherType::kIpv4:
    case EtherType::kIpv6: return pretty_ip(ethernet->ether_type(), ethernet->payload());
    case EtherType::kArp: return pretty_arp(ethernet->payload());
  }
  return fmt::format("{} > {} type 0x{:04x} len {}", to_string(ethernet->source()),
                     to_string(ethernet->destination()),
                     static_cast<unsigned>(ethernet->ether_type()), ethernet->payload().size());
}

std::string pretty_ip_packet(ByteView packet) {
  if (packet.empty()) return invalid("ip", ParseError::kTruncated);
  return pretty_ip(packet[0] >> 4 == 6 ? EtherType::kIpv6 : EtherType::kIpv4, packet);
}

}  // namespace sluice::wire
