// How frames for the guest are made: its MAC address, what the link can take off our hands, and
// the headers of every packet we send it.
//
// With checksum offload only the pseudo-header's sum is computed and the receiver's kernel is told
// to trust the rest (virtio 1.2, 5.1.6.2); with segmentation offload one frame carries up to
// 64 KiB.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "flow/core/action.h"
#include "flow/core/guest_network.h"
#include "flow/ip/fragmenter.h"
#include "flow/ip/guest_addresses.h"
#include "flow/ip/icmp_error.h"
#include "wire/address.h"
#include "wire/ip_protocol.h"
#include "wire/link/ethernet.h"
#include "wire/link/frame_batch.h"
#include "wire/transport/tcp.h"

namespace sluice::flow {

struct TcpFrame {
  wire::Endpoint source;
  wire::Endpoint destination;
  wire::SeqNum sequence;
  wire::SeqNum acknowledgment;
  wire::TcpFlags flags;
  std::uint16_t window = 0;        // Scaled already.
  std::uint16_t segment_size = 0;  // The peer's MSS; only read when the payload exceeds it.
  const wire::TcpOptions* options = nullptr;
  ByteView payload;
};

// What frames of the guest's have told of it.
struct GuestSeen {
  wire::MacAddress mac;
  GuestAddresses addresses;

  friend bool operator==(const GuestSeen&, const GuestSeen&) = default;
};

class GuestLink {
 public:
  GuestLink(const GuestNetwork& network, const wire::LinkFeatures& features)
      : network_(&network), features_(features), guest_mac_(network.guest_mac) {}

  [[nodiscard]] const GuestNetwork& network() const { return *network_; }
  [[nodiscard]] const wire::LinkFeatures& features() const { return features_; }
  void set_features(const wire::LinkFeatures& features) { features_ = features; }
  [[nodiscard]] const wire::MacAddress& guest_mac() const { return guest_mac_; }
  // Answers go to whoever spoke last: there is one guest on the link.
  void learn_guest_mac(const wire::MacAddress& mac) { guest_mac_ = mac; }

  // Those of the guest.
  [[nodiscard]] bool knows_guest_address(wire::IpFamily family) const {
    return addresses_.knows(family);
  }
  void learn_guest_address(const wire::IpAddress& address) { addresses_.learn(*network_, address); }
  [[nodiscard]] wire::IpAddress taken_for(const wire::IpAddress& offered) const {
    return addresses_.taken(*network_, offered);
  }
  [[nodiscard]] wire::IpAddress meant_by(const wire::IpAddress& taken) const {
    return addresses_.meant(*network_, taken);
  }

  [[nodiscard]] GuestSeen seen() const { return {guest_mac_, addresses_}; }
  // Seen by another worker of the same guest.
  void merge(const GuestSeen& news) {
    guest_mac_ = news.mac;
    addresses_.merge(news.addresses);
  }

  // The largest TCP payload of one segment on this link, without options.
  [[nodiscard]] std::uint16_t segment_size_max(wire::IpFamily family) const;
  // The largest TCP payload that one frame may carry when the peer's segments hold `mss` bytes.
  [[nodiscard]] std::size_t frame_payload_max(wire::IpFamily family, std::uint16_t mss) const;

  void send_tcp(const TcpFrame& frame, ActionSink& out) const;
  // One datagram, fragmented when it exceeds the MTU; or, with a segment size, a batch.
  void send_udp(const wire::Endpoint& source, const wire::Endpoint& destination, ByteView payload,
                std::uint16_t segment_size, ActionSink& out);
  // One datagram whose bytes need not outlive the call.
  void send_udp_copy(const wire::Endpoint& source, const wire::Endpoint& destination,
                     ByteView payload, ActionSink& out);
  // A whole ICMP or ICMPv6 message whose checksum is in place.
  void send_icmp(const wire::IpAddress& source, const wire::IpAddress& destination,
                 ByteView message, std::uint8_t hop_limit, ActionSink& out);
  // An error about a packet of the guest, or about one of which only the addresses are known.
  // Never where the RFCs forbid it. False: it is beyond the rate limit.
  bool send_error(IcmpErrorKind kind, const wire::IpPacketView& packet, Turn turn);
  bool send_error(const IcmpError& error, const LostPacket& lost, Turn turn);

 private:
  void emit_ip(MutableBytes header, const wire::IpAddress& source,
               const wire::IpAddress& destination, wire::IpProtocol protocol,
               std::size_t payload_length, std::uint8_t hop_limit) const;
  void send_udp_frame(const wire::Endpoint& source, const wire::Endpoint& destination,
                      ByteView payload, std::uint16_t segment_size, ActionSink& out) const;
  void send_fragmented(OutgoingDatagram datagram, ActionSink& out);

  const GuestNetwork* network_;  // Not owned.
  wire::LinkFeatures features_;
  wire::MacAddress guest_mac_;
  GuestAddresses addresses_;
  IcmpErrorLimiter error_limiter_;
  std::uint32_t next_identification_ = 1;
};

[[nodiscard]] constexpr std::size_t ip_header_size(const wire::IpAddress& address) {
  return address.is_v4() ? 20 : 40;
}

}  // namespace sluice::flow
