// Whatever the size, the MTU and the order of arrival: the fragments of a datagram make it whole
// again, exactly once, and leave nothing behind.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"
#include "flow/core/guest_network.h"
#include "flow/ip/fragment_reassembly.h"
#include "flow/ip/fragmenter.h"
#include "wire/ip/ip.h"

namespace sluice::flow {
namespace {

RC_GTEST_PROP(FragmentOrder, AnyOrderMakesTheDatagramWhole, ()) {
  const bool ipv4 = *rc::gen::arbitrary<bool>();
  const auto mtu = *rc::gen::inRange<std::size_t>(Fragmenter::kMtuMin, 9000);
  const auto size = *rc::gen::inRange<std::size_t>(1, 65'516);
  Prng prng(*rc::gen::arbitrary<std::uint64_t>());
  std::vector<std::uint8_t> payload(size);
  for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(prng.next());

  const GuestNetwork network;
  Fragmenter fragments({.source = ipv4 ? network.dns_v4 : network.dns_v6,
                        .destination = ipv4 ? network.guest_v4 : network.guest_v6,
                        .protocol = wire::IpProtocol::kUdp,
                        .identification = 7,
                        .payload = payload},
                       mtu);
  std::vector<std::vector<std::uint8_t>> frames;
  std::vector<std::uint8_t> buffer(14 + mtu);
  while (const std::size_t length = fragments.next(buffer)) {
    frames.emplace_back(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(length));
  }
  std::ranges::shuffle(frames, prng);

  FragmentReassembly table;
  std::size_t wholes = 0;
  for (const auto& frame : frames) {
    const auto ethernet = wire::EthernetView::parse(frame).value();
    const auto packet = wire::parse_ip_packet(ethernet.ether_type(), ethernet.payload()).value();
    const auto result = table.add(fragment_of(packet), Instant{});
    if (!result.datagram) continue;
    ++wholes;
    RC_ASSERT(result.datagram->bytes == payload);
  }
  RC_ASSERT(wholes == 1u);
  RC_ASSERT(table.pending() == 0u);
  RC_ASSERT(table.bytes_held() == 0u);
}

}  // namespace
}  // namespace sluice::flow
