#include "flow/lease/dhcp_server.h"

#include <algorithm>
#include <optional>

#include "flow/lease/udp_frame.h"
#include "wire/messages/dhcp.h"

namespace sluice::flow {
namespace {

using wire::DhcpMessage;
using wire::DhcpMessageType;
using wire::IpAddress;

constexpr std::uint32_t kLeaseSeconds = 86'400;

// RFC 2131, 2: every client takes messages in IP datagrams of 576 bytes.
constexpr std::size_t kDatagramMin = 576;
constexpr std::size_t kIpAndUdpHeaders = 28;

DhcpMessage reply_to(const GuestNetwork& network, const DhcpMessage& request,
                     DhcpMessageType type) {
  DhcpMessage reply;
  reply.operation = wire::DhcpOperation::kReply;
  reply.type = type;
  reply.transaction_id = request.transaction_id;
  reply.broadcast = request.broadcast;
  reply.client_mac = request.client_mac;
  reply.server_id = network.gateway_v4;
  reply.client_id = request.client_id;  // RFC 6842
  return reply;
}

void add_configuration(const GuestNetwork& network, DhcpMessage& reply) {
  const std::uint8_t length = network.prefix_length_v4;
  const std::uint32_t mask = length == 0 ? 0 : 0xffff'ffffU << (32 - length);
  reply.subnet_mask = IpAddress::v4(mask);
  reply.routers.push_back(network.gateway_v4);
  reply.mtu = network.mtu;
  reply.host_name = network.host_name;
  if (!network.full_name.empty()) reply.full_name = wire::DomainName::from_text(network.full_name);
  if (length < 31) {
    reply.broadcast_address = IpAddress::v4(network.gateway_v4.v4_value() | ~mask);
  }
  reply.dns_servers = network.told_resolvers(wire::IpFamily::kV4);
  if (!network.services.tells_search_domains) return;
  for (const std::string& text : network.search_domains) {
    if (const auto name = wire::DomainName::from_text(text)) reply.domain_search.push_back(*name);
  }
  if (!reply.domain_search.empty()) reply.domain_name = reply.domain_search.front().to_text();
}

void add_lease(const GuestNetwork& network, DhcpMessage& reply) {
  reply.your_address = network.guest_v4;
  reply.lease_seconds = kLeaseSeconds;
  reply.renewal_seconds = kLeaseSeconds / 2;
  reply.rebinding_seconds = kLeaseSeconds / 8 * 7;
}

std::optional<DhcpMessage> on_request(const GuestNetwork& network, const DhcpMessage& request) {
  const bool has_address = !request.client_address.is_unspecified();
  // RFC 2131, 4.3.2. A server identifier that is not ours: the client took another's offer.
  if (request.server_id && *request.server_id != network.gateway_v4) return std::nullopt;
  if (!has_address && !request.requested_address) return std::nullopt;
  // SELECTING and INIT-REBOOT name the address in an option, RENEWING and REBINDING in ciaddr.
  const IpAddress wanted = has_address ? request.client_address : *request.requested_address;
  if (wanted != network.guest_v4) {
    DhcpMessage nak = reply_to(network, request, DhcpMessageType::kNak);
    nak.message = "the address is not the one this network offers";
    return nak;
  }
  DhcpMessage ack = reply_to(network, request, DhcpMessageType::kAck);
  ack.client_address = request.client_address;
  add_lease(network, ack);
  add_configuration(network, ack);
  return ack;
}

std::optional<DhcpMessage> respond(const GuestNetwork& network, const DhcpMessage& request) {
  switch (request.type) {
    case DhcpMessageType::kDiscover: {
      DhcpMessage offer = reply_to(network, request, DhcpMessageType::kOffer);
      add_lease(network, offer);
      add_configuration(network, offer);
      return offer;
    }
    case DhcpMessageType::kRequest: return on_request(network, request);
    case DhcpMessageType::kInform: {
      // RFC 2131, 4.3.5: no lease, and the answer goes to ciaddr.
      if (request.client_address.is_unspecified()) return std::nullopt;
      DhcpMessage ack = reply_to(network, request, DhcpMessageType::kAck);
      ack.client_address = request.client_address;
      add_configuration(network, ack);
      return ack;
    }
    // Neither is answered, and the one lease is always there for the next who asks.
    case DhcpMessageType::kDecline:
    case DhcpMessageType::kRelease:
    // Only servers send these.
    case DhcpMessageType::kOffer:
    case DhcpMessageType::kAck:
    case DhcpMessageType::kNak: return std::nullopt;
  }
  return std::nullopt;
}

// Leaves out what is merely convenient until the message fits.
std::optional<std::size_t> emit_within(DhcpMessage& reply, MutableBytes out) {
  if (const auto length = reply.emit(out)) return length;
  reply.domain_search.clear();
  if (const auto length = reply.emit(out)) return length;
  reply.domain_name.clear();
  reply.host_name.clear();
  reply.full_name.reset();
  return reply.emit(out);
}

}  // namespace

std::size_t answer_dhcp(const GuestNetwork& network, ByteView message, MutableBytes out) {
  if (!network.ipv4 || !network.services.dhcp) return 0;
  const auto request = DhcpMessage::parse(message);
  if (!request || request->operation != wire::DhcpOperation::kRequest) return 0;
  // The guest is on our link: there is no relay agent between us.
  if (!request->gateway_address.is_unspecified() || request->client_mac.is_multicast()) return 0;
  auto reply = respond(network, *request);
  if (!reply) return 0;

  const std::size_t headers = udp_frame_header_size(wire::IpFamily::kV4);
  if (out.size() < headers) return 0;
  const std::size_t datagram =
      std::max<std::size_t>(request->max_message_size.value_or(0), kDatagramMin);
  const std::size_t room =
      std::min({datagram, std::max<std::size_t>(network.mtu, kDatagramMin)}) - kIpAndUdpHeaders;
  const auto length =
      emit_within(*reply, out.subspan(headers, std::min(room, out.size() - headers)));
  if (!length) return 0;

  // RFC 2131, 4.1: to ciaddr; else by broadcast if the client asks for it; else to the address that
  // it is about to get. A NAK always goes by broadcast.
  UdpFrame frame{.source_mac = network.gateway_mac,
                 .destination_mac = request->client_mac,
                 .source = {network.gateway_v4, wire::kDhcpServerPort},
                 .destination = {reply->your_address, wire::kDhcpClientPort}};
  const bool has_address = !request->client_address.is_unspecified();
  if (has_address) frame.destination.address = request->client_address;
  if (reply->type == DhcpMessageType::kNak || (!has_address && request->broadcast)) {
    frame.destination.address = IpAddress::v4(0xffff'ffff);
    frame.destination_mac = wire::kBroadcastMac;
  }
  wrap_udp_frame(frame, out.first(headers + *length));
  return headers + *length;
}

}  // namespace sluice::flow
