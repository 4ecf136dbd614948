// A packet of a flow, its answer and the ICMP errors about both are of one flow, and have one
// owner.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "flow/core/frame_owner.h"
#include "property/wire/wire_gen.h"
#include "unit/flow/engine/guest_frames.h"
#include "wire/ip/flow_tuple.h"

namespace sluice::flow {
namespace {

namespace random = wire::random;
using test::Bytes;

struct Case {
  GuestNetwork network;
  bool v4 = random::any<bool>();
  bool tcp = random::any<bool>();
  wire::Endpoint guest{v4 ? random::v4() : random::v6(), random::port()};
  wire::Endpoint remote{v4 ? random::v4() : random::v6(), random::port()};
  Bytes payload = random::bytes(0, 40);

  [[nodiscard]] Bytes packet(const wire::Endpoint& from, const wire::Endpoint& to) const {
    return tcp ? test::tcp_frame(network, {.guest = from, .remote = to, .payload = payload})
               : test::udp_frame(network, from, to, payload);
  }

  // About `frame`, of which it quotes all headers and what its sender likes.
  [[nodiscard]] Bytes error(const wire::IpAddress& from, const wire::IpAddress& to,
                            const Bytes& frame) const {
    const std::size_t least = 14 + (v4 ? 20U : 40U) + 8;
    const Bytes quote(frame.begin() + 14,
                      frame.begin() + static_cast<std::ptrdiff_t>(
                                          random::between<std::size_t>(least, frame.size())));
    Bytes message(8);
    const auto header = MutableBytes(message).first<8>();
    if (v4) {
      wire::IcmpRepr::unreachable(wire::IcmpUnreachable::kPort).emit(header, quote);
    } else {
      wire::Icmpv6Repr::hop_limit_exceeded().emit(header, quote, from, to);
    }
    message.insert(message.end(), quote.begin(), quote.end());
    return test::ip_frame(network, from, to,
                          v4 ? wire::IpProtocol::kIcmp : wire::IpProtocol::kIcmpv6, message);
  }
};

RC_GTEST_PROP(FrameOwner, BothWaysAndErrorsAreOfOneFlow, ()) {
  const Case flow;
  const Bytes there = flow.packet(flow.guest, flow.remote);
  const Bytes back = flow.packet(flow.remote, flow.guest);
  const auto sent = wire::flow_of_frame(there);
  RC_ASSERT(sent.has_value());
  RC_ASSERT(sent->source == flow.guest);
  RC_ASSERT(sent->destination == flow.remote);
  RC_ASSERT(wire::flow_of_frame(back) == sent->reversed());
  // What the guest says of what came to it, and what a router says of what the guest sent.
  RC_ASSERT(wire::flow_of_frame(flow.error(flow.guest.address, flow.remote.address, back)) == sent);
  const wire::IpAddress router = flow.v4 ? random::v4() : random::v6();
  RC_ASSERT(wire::flow_of_frame(flow.error(router, flow.guest.address, there)) == sent->reversed());
}

RC_GTEST_PROP(FrameOwner, AFlowHasOneOwner, ()) {
  const Case flow;
  const auto workers = random::between<std::uint32_t>(1, 16);
  const FrameOwner owner(flow.network, workers,
                         {random::any<std::uint64_t>(), random::any<std::uint64_t>()});
  const std::uint32_t mine = owner.of_frame(flow.packet(flow.guest, flow.remote));
  RC_ASSERT(mine < workers);
  const Bytes back = flow.packet(flow.remote, flow.guest);
  RC_ASSERT(owner.of_frame(flow.error(flow.guest.address, flow.remote.address, back)) == mine);
  if (flow.remote.address.is_multicast()) return;
  RC_ASSERT(mine == (flow.tcp ? owner.of_tcp(flow.guest.port, flow.remote)
                              : owner.of_udp(flow.guest.port)));
}

}  // namespace
}  // namespace sluice::flow
