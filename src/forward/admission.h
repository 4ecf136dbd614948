// Whether a client may have a session now: access first, before a byte is read, then limits.
// Shared by all workers. Without configured limits nothing is locked.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>

#include "forward/plan.h"
#include "forward/session_event.h"
#include "policy/token_bucket.h"
#include "relay/pair.h"
#include "wire/address.h"

namespace sluice::forward {

class ClientTable;  // client_table.h: counts and buckets of each client address.
struct ClientEntry;

class Admission {
 public:
  Admission(const Rule& rule, policy::AccessList global);
  ~Admission();

  // A place among the sessions of a rule and of a client; given back when it goes. Holds the
  // entry of its client alive. The Admission must outlive it.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket();
    [[nodiscard]] relay::Throttle to_target() const;
    [[nodiscard]] relay::Throttle to_client() const;

   private:
    friend class Admission;
    Admission* owner_ = nullptr;
    ClientEntry* client_ = nullptr;
  };

  // Else kNotAllowed, kDenied or kLimited.
  [[nodiscard]] std::expected<Ticket, SessionResult> admit(const wire::IpAddress& client,
                                                           Instant now);
};

}  // namespace sluice::forward
