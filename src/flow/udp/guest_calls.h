// What all calls of servers at the guest's loopback have in common (guest_call.h): when there are
// any, which servers are known, and how much may be kept for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/time.h"
#include "flow/core/action.h"
#include "flow/core/loopback_servers.h"
#include "flow/udp/guest_call.h"
#include "flow/udp/udp_sockets.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"

namespace sluice::flow {

class GuestCalls {
 public:
  // What was written so long ago has arrived, or nobody waits for it any more: a guest's kernel
  // says at once that nobody is there.
  static constexpr Duration kRefusedWithin = std::chrono::seconds(1);
  // What all clients together may have us keep, in bytes.
  static constexpr std::size_t kKeptMax = std::size_t{4} * 1024 * 1024;

  // Not owned.
  explicit GuestCalls(UdpSockets& sockets) : sockets_(sockets) {}

  void set(policy::LoopbackUse when, std::vector<policy::PortMap> lead_out) {
    when_ = when;
    lead_out_ = std::move(lead_out);
  }
  void set_lead_out(std::vector<policy::PortMap> ports) { lead_out_ = std::move(ports); }

  // Of a client of that family for a port of the guest's; null: its loopback is not asked.
  [[nodiscard]] std::unique_ptr<GuestCall> begin(wire::IpFamily family, wire::Port port,
                                                 Instant now) const;
  // Has the driver call the server that `flow` is led to.
  void ask(GuestCall& call, std::uint32_t flow, ActionSink& out);
  // The same at the loopback of the client's own family, wherever it was led before: a server is
  // known there.
  void ask_own(GuestCall& call, std::uint32_t flow, ActionSink& out);
  // Keeps it until somebody answers. False: it was not wanted, or there is no room.
  [[nodiscard]] bool keep(GuestCall& call, const UdpBatch& batch, Instant now);
  void forget_kept(GuestCall& call);
  // Its socket is closed, if it has one.
  void hang_up(GuestCall& call, ActionSink& out);
  // The server has answered, or has refused. Of the former whether that is news.
  [[nodiscard]] bool found(GuestCall& call, Instant now);
  void lost(const GuestCall& call) { servers_.lost(*call.server()); }
  // Whether it is led to the guest's address though a server is known at its loopback.
  [[nodiscard]] bool waits_elsewhere(const GuestCall& call, Instant now) const {
    return when_ == policy::LoopbackUse::kWhereRefused && !call.server() &&
           servers_.waits(call.own(), now);
  }

 private:
  UdpSockets& sockets_;
  std::size_t kept_ = 0;
  policy::LoopbackUse when_ = policy::LoopbackUse::kNever;
  std::vector<policy::PortMap> lead_out_;
  LoopbackServers servers_;
};

}  // namespace sluice::flow
