// What is told about a session: that it began, that it ended and how, or why it did not begin.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "wire/address.h"

namespace sluice::forward {

enum class SessionResult : std::uint8_t {
  kOpened,
  kTargetClosed,   // rinetd: done-local-closed: the target closed first
  kClientClosed,   // done-remote-closed
  kTargetReset,    // done-local-closed too; JSON tells them apart
  kClientReset,    // done-remote-closed too
  kIdle,           // an idle, half-closed or session timeout
  kStopped,        // we ended: drain timeout, second signal, a rule that went away
  kKilled,         // by a person, over the control socket; done-stopped too
  kConnectFailed,  // local-connect-failed
  kNotAllowed,     // not-allowed
  kDenied,         // denied
  kLimited,        // a limit on connections or on new ones
  kBadProxyHeader,
};

// Borrowed text; valid during the call only.
struct SessionEvent {
  SessionResult result{};
  std::string_view rule;         // Rule::name
  wire::Endpoint client;         // The true one, if a PROXY header told.
  std::string_view listen_host;  // As configured.
  std::uint16_t listen_port = 0;
  std::string_view target_host;  // As configured; a UNIX path; empty when none was chosen.
  std::uint16_t target_port = 0;
  bool udp = false;  // The client's side.
  std::uint64_t bytes_from_client = 0;
  std::uint64_t bytes_to_client = 0;
  Duration duration{};  // Since it was accepted.
  int error = 0;        // errno behind a failure or a reset; 0: none.
};

}  // namespace sluice::forward
