// The host's end of connections to denied names, of which there is none: TcpFlows is told that it
// connected, nothing is ever said from here, and the gate answers the guest's first bytes with the
// reason. Bounded in number; who says nothing is cut off. Sans-IO; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/time.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {

class ExplainedFlows {
 public:
  static constexpr std::size_t kFlowsMax = 512;
  static constexpr Duration kPatience = std::chrono::seconds(5);

  // `flows` is not owned.
  explicit ExplainedFlows(TcpFlows& flows) : flows_(flows) {}

  [[nodiscard]] bool empty() const { return ends_.empty(); }
  [[nodiscard]] bool serves(TcpId id) const {
    const auto at = ends_.find(id.index);
    return at != ends_.end() && at->second.id == id;
  }

  // What a host's socket would do. They answer by the events of TcpFlows.
  void connect(TcpId id, Turn turn);
  void write(const WriteTcp& action, Turn turn);
  void peek(const PeekTcp& action, Turn turn);
  void discard(const DiscardTcp& /*action*/, Instant /*now*/) {}
  void shutdown(TcpId /*id*/) {}
  void close(TcpId id) {
    if (serves(id)) ends_.erase(id.index);
  }

  [[nodiscard]] Instant next_deadline() const { return ends_.empty() ? kNever : next_check_; }
  void on_timer(Turn turn);

 private:
  struct End {
    TcpId id;
    Instant until{};
  };

  TcpFlows& flows_;
  std::unordered_map<std::uint32_t, End> ends_;  // By the flow's index.
  Instant next_check_ = kNever;
};

}  // namespace sluice::flow
