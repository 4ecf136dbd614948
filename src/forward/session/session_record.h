// What is told about a session to whoever looks on: it has begun, is live, has ended, or was
// refused. Made only while somebody looks. It holds its rule, so that another thread may read it
// when a reload has taken the rule away.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.h"
#include "forward/log/session_event.h"
#include "forward/session/live_rule.h"
#include "forward/session/session_accounting.h"
#include "wire/address.h"

namespace sluice::forward {

struct ChosenTarget {
  std::uint32_t target = 0;       // Position in Rule::targets.
  std::uint16_t port_offset = 0;  // Into a range of ports.
};

struct SessionRecord {
  std::uint64_t number = 0;  // Names it in this process.
  std::shared_ptr<const LiveRule> rule;
  SessionResult result{};  // kOpened: it lives.
  int error = 0;
  wire::Endpoint client;
  std::uint16_t listen_port = 0;
  std::optional<ChosenTarget> target;
  bool udp = false;         // The client's side.
  bool connecting = false;  // Of one that lives: no target has answered yet.
  SessionBytes bytes{};
  Duration duration{};
  std::chrono::system_clock::time_point time;  // When this was so.
};

// `facts` now.
[[nodiscard]] SessionRecord record_of(const std::shared_ptr<LiveRule>& rule,
                                      const SessionFacts& facts);

}  // namespace sluice::forward
