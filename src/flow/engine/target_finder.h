// Finds out where names lead for flows to addresses that stand for them: asks our own relay, has
// what comes judged, and tells the flows that wait. Sans-IO; one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "dns/names/name_book.h"
#include "flow/core/action.h"
#include "flow/core/drop_reason.h"
#include "flow/core/found_target.h"
#include "flow/core/target_map.h"
#include "flow/engine/name_lookups.h"
#include "flow/judge/dns_judge.h"
#include "flow/judge/judge.h"
#include "flow/tcp/tcp_flows.h"
#include "flow/udp/ping_flows.h"
#include "flow/udp/udp_flows.h"

namespace sluice::flow {

class TargetFinder {
 public:
  // Of the engine; nothing is owned.
  struct Parts {
    dns::NameBook& names;
    Judge& judge;
    DnsJudge& questions;
    const TargetMap& targets;
    DropCounters& drops;
    TcpFlows& tcp;
    UdpFlows& udp;
    PingFlows& ping;
  };
  // Puts a question to the relay, which answers by on_answer().
  using Relay = const std::function<void(const dns::DnsClient& client, ByteView message)>&;

  explicit TargetFinder(const Parts& parts) : parts_(parts) {}

  void find(const FindTarget& wanted, Relay relay, Turn turn);
  // The guest was told addresses that stand for these names, and is about to go there.
  void look_ahead(std::span<const dns::NameId> names, Relay relay);
  void on_answer(const dns::DnsClient& client, ByteView message, Instant now);
  // Some flows can be told.
  [[nodiscard]] bool has_found() { return !lookups_.found().empty(); }
  void tell_found(Turn turn);

  [[nodiscard]] Instant next_deadline() const { return lookups_.next_deadline(); }
  void on_timer(Turn turn);

 private:
  [[nodiscard]] std::vector<wire::Endpoint> targets_of(const FindTarget& wanted,
                                                       const NameLookups::Found& found,
                                                       policy::Verdict& verdict) const;
  void tell(const FindTarget& wanted, const FoundTarget& found, Turn turn);

  Parts parts_;
  NameLookups lookups_;
};

}  // namespace sluice::flow
