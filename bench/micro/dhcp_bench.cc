// DHCP and DHCPv6: both exchanges by which a guest gets its lease, each one frame in and one out.
#include "wire/messages/dhcp.h"
#include "wire/messages/dhcpv6.h"
// Behind them: GCC 12 takes DhcpMessageType::kAck for a shadow of wire::kAck where that is known.
#include "micro/guest_frames.h"

namespace sluice::bench {
namespace {

const flow::GuestNetwork kNetwork;

Bytes dhcp_frame(wire::DhcpMessageType type) {
  wire::DhcpMessage message;
  message.type = type;
  message.transaction_id = 0x1234'5678;
  message.client_mac = kNetwork.guest_mac;
  if (type == wire::DhcpMessageType::kRequest) {
    message.requested_address = kNetwork.guest_v4;
    message.server_id = kNetwork.gateway_v4;
  }
  Bytes bytes(1500);
  bytes.resize(message.emit(bytes).value());
  return datagram_frame({wire::IpAddress::v4(std::uint32_t{0}), wire::kDhcpClientPort},
                        {wire::IpAddress::v4(0xffff'ffff), wire::kDhcpServerPort}, bytes);
}

Bytes dhcpv6_frame(wire::Dhcpv6MessageType type) {
  wire::Dhcpv6Message message;
  message.type = type;
  message.transaction_id = 0xabcdef;
  message.client_id = {0, 3, 0, 1, 2, 0, 0, 0, 0, 7};
  message.ia_nas.push_back({.id = 42});
  if (type == wire::Dhcpv6MessageType::kRequest) {
    message.server_id = wire::make_duid_ll(kNetwork.gateway_mac);
  }
  Bytes bytes(1500);
  bytes.resize(message.emit(bytes).value());
  return datagram_frame({flow::test::ip("fe80::7"), wire::kDhcpv6ClientPort},
                        {flow::test::ip("ff02::1:2"), wire::kDhcpv6ServerPort}, bytes);
}

// The kind of the answer is the same each time; the last one tells it.
wire::DhcpMessageType answer_kind(wire::DhcpMessageType, ByteView udp_payload) {
  return wire::DhcpMessage::parse(udp_payload).value().type;
}
wire::Dhcpv6MessageType answer_kind(wire::Dhcpv6MessageType, ByteView udp_payload) {
  return wire::Dhcpv6Message::parse(udp_payload).value().type;
}

template <typename Kind>
class Exchange {
 public:
  Exchange(const Bytes& request, Kind answer) : request_(request), answer_(answer) {}
  void operator()() {
    driver_.turn(request_, kFinished);
    ++done_;
  }
  void check() const {
    require(driver_.carried.frames == done_, "each message is answered");
    const std::size_t headers = driver_.last_header()[12] == 0x08 ? 14 + 20 + 8 : 14 + 40 + 8;
    require(answer_kind(answer_, driver_.last_header().subspan(headers)) == answer_,
            "the answer that the message asks for");
    driver_.require_no_drops();
  }

 private:
  EngineDriver driver_;
  Bytes request_;
  Kind answer_;
  std::uint64_t done_ = 0;
};

const Registrar registrar([] {
  using V4 = wire::DhcpMessageType;
  using V6 = wire::Dhcpv6MessageType;
  add<Exchange<V4>>("dhcp_discover_offer/v4", dhcp_frame(V4::kDiscover), V4::kOffer);
  add<Exchange<V4>>("dhcp_request_ack/v4", dhcp_frame(V4::kRequest), V4::kAck);
  add<Exchange<V6>>("dhcpv6_solicit_advertise/v6", dhcpv6_frame(V6::kSolicit), V6::kAdvertise);
  add<Exchange<V6>>("dhcpv6_request_reply/v6", dhcpv6_frame(V6::kRequest), V6::kReply);
});

}  // namespace
}  // namespace sluice::bench
