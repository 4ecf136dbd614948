#include "flow/core/frame_owner.h"

#include <cstring>

namespace sluice::flow {
namespace {

// Who has what belongs to the guest and to no flow.
constexpr std::uint32_t kFirst = 0;
constexpr std::uint16_t kPortDns = 53;

}  // namespace

FrameOwner::FrameOwner(const GuestNetwork& network, std::uint32_t workers, const HashSecret& secret)
    : workers_(workers), secret_(secret) {
  if (network.dns && network.ipv4) dns_[0] = network.dns_v4;
  if (network.dns && network.ipv6) dns_[1] = network.dns_v6;
}

std::uint32_t FrameOwner::of_frame(ByteView frame) const {
  const auto flow = wire::flow_of_frame(frame);
  return flow ? of_flow(*flow) : kFirst;
}

std::uint32_t FrameOwner::of_packet(const wire::IpPacketView& packet) const {
  const auto flow = wire::flow_of_packet(packet);
  return flow ? of_flow(*flow) : kFirst;
}

std::uint32_t FrameOwner::of_flow(const wire::FlowTuple& sent) const {
  const wire::IpAddress& remote = sent.destination.address;
  if (remote.is_multicast() || remote.is_v4_broadcast()) return kFirst;
  if (sent.protocol == wire::IpProtocol::kTcp) return of_tcp(sent.source.port, sent.destination);
  return is_dns(sent.destination) ? kFirst : of_udp(sent.source.port);
}

bool FrameOwner::is_dns(const wire::Endpoint& remote) const {
  return remote.port.value == kPortDns && !remote.address.is_unspecified() &&
         (remote.address == dns_[0] || remote.address == dns_[1]);
}

std::uint32_t FrameOwner::of_tcp(wire::Port guest, const wire::Endpoint& remote) const {
  if (is_dns(remote)) return kFirst;
  std::array<std::uint8_t, 20> key;
  std::memcpy(key.data(), remote.address.octets().data(), 16);
  std::memcpy(key.data() + 16, &remote.port.value, 2);
  std::memcpy(key.data() + 18, &guest.value, 2);
  return share_of(key);
}

std::uint32_t FrameOwner::of_udp(wire::Port guest) const {
  std::array<std::uint8_t, 2> key;
  std::memcpy(key.data(), &guest.value, key.size());
  return share_of(key);
}

std::uint32_t FrameOwner::share_of(ByteView key) const {
  // The high half of the hash, as a fraction of one, times the workers.
  return static_cast<std::uint32_t>(((KeyedHash(secret_)(key) >> 32) * workers_) >> 32);
}

}  // namespace sluice::flow
