// ICMP echo, and what answers for neighbours and routers: ARP and NDP.
#include <fmt/core.h>

#include "micro/guest_frames.h"

namespace sluice::bench {
namespace {

constexpr std::size_t kPayload = 56;  // As ping sends.

// An echo request for a server goes to its ping socket.
class EchoRequest {
 public:
  explicit EchoRequest(Family family)
      : frame_(echo_frame(remote_endpoint(family, 0).address, 77, kPayload)) {}
  void operator()() {
    driver_.turn(frame_, kFinished);
    ++done_;
  }
  void check() const {
    require(driver_.carried.pings == done_, "each request is sent");
    require(driver_.engine.flow_count() == 1, "they are one flow");
    driver_.require_no_drops();
  }

 private:
  EngineDriver driver_;
  Bytes frame_;
  std::uint64_t done_ = 0;
};

// The server's answer. The engine writes the guest's identifier into it, so it stays as it is.
class EchoReply {
 public:
  explicit EchoReply(Family family)
      : remote_(remote_endpoint(family, 0).address), reply_(echo_reply(remote_, 78, kPayload)) {
    driver_.turn(echo_frame(remote_, 77, kPayload), kFinished);
    require(driver_.carried.pings == 1, "the request is sent");
  }
  void operator()() {
    driver_.engine.ping().on_reply(driver_.ping, remote_, reply_, {driver_.now, driver_.sink});
    driver_.settle();
    ++done_;
  }
  void check() const {
    require(driver_.carried.frames == done_, "each reply is a frame for the guest");
    driver_.require_no_drops();
  }

 private:
  EngineDriver driver_;
  wire::IpAddress remote_;
  Bytes reply_;
  std::uint64_t done_ = 0;
};

// A request that the engine answers itself, with one frame each time.
class Answered {
 public:
  explicit Answered(Bytes frame) : frame_(std::move(frame)) {}
  void operator()() {
    driver_.turn(frame_, kFinished);
    ++done_;
  }
  void check() const {
    require(driver_.carried.frames == done_, "one answer each time");
    driver_.require_no_drops();
  }

 private:
  EngineDriver driver_;
  Bytes frame_;
  std::uint64_t done_ = 0;
};

const Registrar registrar([] {
  const flow::GuestNetwork network;
  for (const Family family : kFamilies) {
    const std::string_view v = name_of(family);
    add<EchoRequest>(fmt::format("process_icmp_echo_request/{}", v), family);
    add<EchoReply>(fmt::format("icmp_echo_reply/{}", v), family);
    add<Answered>(
        fmt::format("icmp_echo_gateway/{}", v),
        echo_frame(family == Family::kV4 ? network.gateway_v4 : network.gateway_v6, 77, kPayload));
  }
  add<Answered>("process_arp_request/v4", flow::test::arp_request(network, network.gateway_v4));
  add<Answered>("process_neighbour_solicitation/v6", neighbour_solicitation());
  add<Answered>("process_router_solicitation/v6", router_solicitation());
});

}  // namespace
}  // namespace sluice::bench
