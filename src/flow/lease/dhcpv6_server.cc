#include "flow/lease/dhcpv6_server.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "flow/lease/udp_frame.h"
#include "wire/messages/dhcpv6.h"

namespace sluice::flow {
namespace {

using wire::Dhcpv6IaNa;
using wire::Dhcpv6Message;
using wire::Dhcpv6MessageType;
using wire::Dhcpv6StatusCode;

constexpr std::uint32_t kPreferredSeconds = 86'400;
constexpr std::uint32_t kValidSeconds = 2 * kPreferredSeconds;

// RFC 8415, 16: which identifiers a message must and must not carry.
bool is_valid(const Dhcpv6Message& request, const std::vector<std::uint8_t>& our_id) {
  const bool has_client = !request.client_id.empty();
  const bool for_us = request.server_id == our_id;
  const bool for_anyone = request.server_id.empty();
  switch (request.type) {
    case Dhcpv6MessageType::kSolicit:
    case Dhcpv6MessageType::kConfirm:
    case Dhcpv6MessageType::kRebind: return has_client && for_anyone;
    case Dhcpv6MessageType::kRequest:
    case Dhcpv6MessageType::kRenew:
    case Dhcpv6MessageType::kRelease:
    case Dhcpv6MessageType::kDecline: return has_client && for_us;
    case Dhcpv6MessageType::kInformationRequest:
      return (for_anyone || for_us) && request.ia_nas.empty();
    case Dhcpv6MessageType::kAdvertise:
    case Dhcpv6MessageType::kReply:
    case Dhcpv6MessageType::kReconfigure: return false;
  }
  return false;
}

// RFC 8415, 18.3.2 and 18.3.4: the first association gets the address, whatever else the client
// holds runs out at once.
void add_leases(const GuestNetwork& network, const Dhcpv6Message& request, Dhcpv6Message& reply) {
  for (const Dhcpv6IaNa& asked : request.ia_nas) {
    Dhcpv6IaNa granted{.id = asked.id};
    if (reply.ia_nas.empty()) {
      granted.t1_seconds = kPreferredSeconds / 2;
      granted.t2_seconds = kPreferredSeconds / 5 * 4;
      granted.addresses.push_back({network.guest_v6, kPreferredSeconds, kValidSeconds});
    } else {
      granted.status = {Dhcpv6StatusCode::kNoAddrsAvail, "there is one address for one guest"};
    }
    if (request.type == Dhcpv6MessageType::kRenew || request.type == Dhcpv6MessageType::kRebind) {
      for (const wire::Dhcpv6Address& held : asked.addresses) {
        if (held.address != network.guest_v6) granted.addresses.push_back({held.address, 0, 0});
      }
    }
    reply.ia_nas.push_back(std::move(granted));
  }
}

void add_configuration(const GuestNetwork& network, Dhcpv6Message& reply) {
  if (!network.full_name.empty()) reply.full_name = wire::DomainName::from_text(network.full_name);
  reply.dns_servers = network.told_resolvers(wire::IpFamily::kV6);
  if (!network.services.tells_search_domains) return;
  for (const std::string& text : network.search_domains) {
    if (const auto name = wire::DomainName::from_text(text)) reply.domain_list.push_back(*name);
  }
}

// RFC 8415, 18.3.3. No answer where the client named no address.
std::optional<wire::Dhcpv6Status> confirm(const GuestNetwork& network,
                                          const Dhcpv6Message& request) {
  bool any = false;
  for (const Dhcpv6IaNa& association : request.ia_nas) {
    for (const wire::Dhcpv6Address& held : association.addresses) {
      any = true;
      if (held.address.is_v4() || !network.on_subnet(held.address)) {
        return wire::Dhcpv6Status{Dhcpv6StatusCode::kNotOnLink, "not an address of this link"};
      }
    }
  }
  if (!any) return std::nullopt;
  return wire::Dhcpv6Status{Dhcpv6StatusCode::kSuccess, {}};
}

std::optional<Dhcpv6Message> respond(const GuestNetwork& network, const Dhcpv6Message& request) {
  Dhcpv6Message reply{.type = Dhcpv6MessageType::kReply,
                      .transaction_id = request.transaction_id,
                      .client_id = request.client_id,
                      .server_id = wire::make_duid_ll(network.gateway_mac)};
  if (!is_valid(request, reply.server_id)) return std::nullopt;
  switch (request.type) {
    case Dhcpv6MessageType::kSolicit:
      if (request.rapid_commit) {
        reply.rapid_commit = true;
      } else {
        reply.type = Dhcpv6MessageType::kAdvertise;
        reply.preference = std::uint8_t{255};  // Nobody else will offer: do not wait (18.2.1).
      }
      [[fallthrough]];
    case Dhcpv6MessageType::kRequest:
    case Dhcpv6MessageType::kRenew:
    case Dhcpv6MessageType::kRebind:
      add_leases(network, request, reply);
      add_configuration(network, reply);
      return reply;
    case Dhcpv6MessageType::kConfirm:
      reply.status = confirm(network, request);
      if (!reply.status) return std::nullopt;
      return reply;
    case Dhcpv6MessageType::kRelease:
    case Dhcpv6MessageType::kDecline:
      // 18.3.7, 18.3.8. The one lease is always there for the next who asks.
      reply.status = wire::Dhcpv6Status{Dhcpv6StatusCode::kSuccess, {}};
      return reply;
    case Dhcpv6MessageType::kInformationRequest: add_configuration(network, reply); return reply;
    case Dhcpv6MessageType::kAdvertise:
    case Dhcpv6MessageType::kReply:
    case Dhcpv6MessageType::kReconfigure: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::size_t answer_dhcpv6(const GuestNetwork& network, const Dhcpv6Client& client, ByteView message,
                          MutableBytes out) {
  const wire::IpAddress& address = client.endpoint.address;
  if (!network.ipv6 || !network.services.dhcpv6 || address.is_v4() || address.is_multicast() ||
      address.is_unspecified()) {
    return 0;
  }
  const auto request = Dhcpv6Message::parse(message);
  if (!request) return 0;
  const auto reply = respond(network, *request);
  if (!reply) return 0;

  const std::size_t headers = udp_frame_header_size(wire::IpFamily::kV6);
  if (out.size() < headers) return 0;
  const std::size_t room = std::max<std::size_t>(network.mtu, 1280) + 14 - headers;
  const auto length = reply->emit(out.subspan(headers, std::min(room, out.size() - headers)));
  if (!length) return 0;
  wrap_udp_frame({.source_mac = network.gateway_mac,
                  .destination_mac = client.mac,
                  .source = {network.gateway_link_local(), wire::kDhcpv6ServerPort},
                  .destination = client.endpoint},
                 out.first(headers + *length));
  return headers + *length;
}

}  // namespace sluice::flow
