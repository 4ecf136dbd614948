// One question to people: may the guest reach this? All flows to the same name, port and protocol
// ask the same one; where no name is known, those to the same address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "policy/ask/ask_settings.h"
#include "policy/egress/egress_target.h"
#include "policy/protocol.h"
#include "wire/address.h"
#include "wire/messages/domain_name.h"

namespace sluice::policy {

struct Subject {
  std::optional<wire::DomainName> name{};
  wire::IpAddress address{};  // That the first flow was for.
  Protocol protocol = Protocol::kTcp;
  wire::Port port{};  // Zero of ICMP.

  [[nodiscard]] bool same(const Subject& other) const {
    if (protocol != other.protocol || port != other.port) return false;
    if (name.has_value() != other.name.has_value()) return false;
    return name ? *name == *other.name : address == other.address;
  }
};

// A flow that waits for the answer, as whoever asks knows it.
struct Waiter {
  std::uint32_t worker = 0;
  Protocol protocol = Protocol::kTcp;
  std::uint64_t flow = 0;
  friend bool operator==(const Waiter&, const Waiter&) = default;
};

struct Question {
  std::uint64_t id = 0;
  Subject subject{};
  std::string
      domain{};  // The registrable one; empty: anybody can have a name there, or none is known.
  std::string rule{};       // Which asks.
  std::string note{};       // ... for whoever is asked.
  std::uint64_t count = 0;  // Flows that asked it so far.
  std::vector<Waiter> waiters{};
  Instant first{};         // When it was asked first,
  Instant last{};          // ... and last.
  Instant until = kNever;  // Its flows wait until then. kNever: nobody has answered, and none wait.

  [[nodiscard]] bool waits() const { return until != kNever; }
};

// The rule that an answer makes, as it is written. Nothing where there can be none: of a public
// suffix or an address there is no domain, and some names cannot be written.
[[nodiscard]] std::optional<EgressTarget> target_of(const Question& question,
                                                    AnswerBreadth breadth);

}  // namespace sluice::policy
