// The flow that a frame belongs to, by its headers alone: for those who spread frames over threads
// or queues, where all frames of a flow have to come to the same one. Reads as much of a frame as
// is there, so that its headers will do, and checks no lengths and no checksums: that is for
// whoever takes the frame in.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/hash.h"
#include "wire/address.h"
#include "wire/ip/ip.h"
#include "wire/ip_protocol.h"

namespace sluice::wire {

// As the sender of the frame has it. An answer has the same the other way round.
struct FlowTuple {
  IpProtocol protocol{};  // kTcp or kUdp.
  Endpoint source{};
  Endpoint destination{};

  friend constexpr bool operator==(const FlowTuple&, const FlowTuple&) = default;

  [[nodiscard]] constexpr FlowTuple reversed() const { return {protocol, destination, source}; }
  // Of one direction: for both, hash one and the other one reversed().
  [[nodiscard]] std::uint64_t hash(const HashSecret& secret) const;
};

// Nothing for what has no ports: ARP, echo, and every fragment, the first one too, as the others
// are to come to the same place. An ICMP or ICMPv6 error belongs to the flow of the packet that it
// quotes, in the direction of the error itself: as if the flow's end that sends it had answered.
[[nodiscard]] std::optional<FlowTuple> flow_of_frame(ByteView frame);

// The same of a packet that was read already.
[[nodiscard]] std::optional<FlowTuple> flow_of_packet(const IpPacketView& packet);

}  // namespace sluice::wire
