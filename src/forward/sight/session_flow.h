// A session as a flow, as the event stream and the control socket tell it (docs/events.md): to
// them a forwarder's client is the peer of an inbound flow, and the target its guest. Pure.
#pragma once

#include <string>

#include "forward/session/session_record.h"
#include "policy/outcome.h"
#include "policy/verdict.h"
#include "telemetry/flow_record.h"

namespace sluice::forward {

// Why a session ended or did not begin, and how.
struct SessionEnd {
  policy::Verdict verdict = policy::Verdict::kAccepted;
  policy::Outcome outcome = policy::Outcome::kClosed;
};
// `error`: errno behind it; 0: none.
[[nodiscard]] SessionEnd end_of(SessionResult result, int error, bool udp);

// Has the texts that the record borrows, and borrows the session's.
class SessionFlow {
 public:
  enum class As : std::uint8_t {
    kEvent,  // Of its beginning, its end or its refusal: by its result.
    kLive,   // As it stands.
  };

  SessionFlow(const SessionRecord& session, As as);
  SessionFlow(const SessionFlow&) = delete;
  SessionFlow& operator=(const SessionFlow&) = delete;

  [[nodiscard]] const telemetry::FlowRecord& record() const { return record_; }

 private:
  std::string listen_;
  std::string target_;
  telemetry::ForwardedFlow forwarded_;
  telemetry::FlowRecord record_;
};

}  // namespace sluice::forward
