// Whether a client may have a session now: access first, before a byte is read, then limits.
// Shared by all workers. Without configured limits nothing is locked and nothing is allocated.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>

#include "base/time.h"
#include "forward/log/session_event.h"
#include "forward/plan.h"
#include "policy/access_list.h"
#include "policy/limits/limits.h"
#include "policy/limits/token_bucket.h"
#include "relay/pair.h"
#include "wire/address.h"

namespace sluice::forward {

class ClientTable;  // client_table.h: counts and buckets of each client address.
struct ClientEntry;

class ClientAdmission {
 public:
  ClientAdmission(const Rule& rule, policy::AccessList global);
  ~ClientAdmission();
  ClientAdmission(const ClientAdmission&) = delete;
  ClientAdmission& operator=(const ClientAdmission&) = delete;

  // A place among the sessions of a rule and of a client; given back when it goes. Holds the
  // entry of its client alive. The ClientAdmission must outlive it.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket();
    // Null where no rate is configured. The buckets live as long as the ticket.
    [[nodiscard]] relay::Throttle to_target() const;
    [[nodiscard]] relay::Throttle to_client() const;

   private:
    friend class ClientAdmission;
    Ticket(ClientAdmission& owner, ClientEntry* client) : owner_(&owner), client_(client) {}
    void give_back();

    ClientAdmission* owner_ = nullptr;  // Null: nothing is limited.
    ClientEntry* client_ = nullptr;
  };

  // Else kNotAllowed, kDenied or kLimited. The client's own limits come before the rule's, so that
  // what one client is refused uses up nothing of what all clients share.
  [[nodiscard]] std::expected<Ticket, SessionResult> admit(const wire::IpAddress& client,
                                                           Instant now);

  // Of a rule whose clients begin with a PROXY header, in two steps. First whoever connects: the
  // deny patterns and Rule::proxy_from hold for it, and it takes a place of the rule's while we
  // wait for the header. Nothing: it connected by a UNIX socket, and has no address.
  [[nodiscard]] std::expected<Ticket, SessionResult> admit_peer(
      const std::optional<wire::IpAddress>& peer, Instant now);
  // Then the client that its header names, or itself where it names none. Nothing: it is admitted.
  [[nodiscard]] std::optional<SessionResult> admit_named(Ticket& ticket,
                                                         const wire::IpAddress& client,
                                                         Instant now);

 private:
  [[nodiscard]] bool admitted_by_rule(Instant now);
  [[nodiscard]] std::expected<ClientEntry*, SessionResult> admit_client(
      const wire::IpAddress& client, Instant now);
  void released(ClientEntry* client);

  const policy::AccessList global_;
  const policy::AccessList own_;
  const policy::AccessList peers_global_;
  const policy::AccessList peers_own_;
  const bool limited_;          // Anything at all: there are tickets to give back.
  const bool rule_is_counted_;  // By connections or new ones a second.
  std::optional<policy::TokenBucket> to_target_;
  std::optional<policy::TokenBucket> to_client_;
  std::unique_ptr<ClientTable> clients_;  // Null: clients are not limited.
  std::mutex mutex_;
  policy::FlowLimits limits_;  // Guarded by mutex_.
};

}  // namespace sluice::forward
