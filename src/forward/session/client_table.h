// The sessions of each client address, where a rule bounds them: how many, how many new ones a
// second, and their bytes a second.
//
// A client is an IPv4 address or the /64 of an IPv6 address: a host has at least that many to
// choose from (RFC 4291, 2.5.4; RFC 8981), so a bound on each would bound nothing. Link-local
// addresses count one by one, as all hosts of a link share their /64.
//
// Bounded: a client is remembered while it has sessions, and after them until its last second of
// new sessions has passed and what it took beyond its rate is paid. Safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/siphash.h"
#include "base/time.h"
#include "forward/plan.h"
#include "policy/limits/limits.h"
#include "policy/limits/token_bucket.h"
#include "wire/address.h"

namespace sluice::forward {

struct ClientEntry {
  ClientEntry(const wire::IpAddress& client, const LimitPlan& plan);

  const wire::IpAddress key;
  // Of all its sessions together; lock-free, used by those that hold the entry.
  std::optional<policy::TokenBucket> to_target;
  std::optional<policy::TokenBucket> to_client;

 private:
  friend class ClientTable;
  policy::FlowLimits limits_;
  Instant last_admitted_{};
  std::list<ClientEntry>::iterator self_{};
};

class ClientTable {
 public:
  // About 0.45 KiB each: 30 MB when it is full.
  static constexpr std::size_t kClientsMax = 65'536;

  // `plan` bounds each client. The key keeps clients from choosing addresses that collide.
  ClientTable(const LimitPlan& plan, const SipKey& key, std::size_t clients_max = kClientsMax);

  // Counts a session of this client until released(); the entry lives until then. Null: the client
  // has as many as it may, or the table is full of clients with sessions.
  [[nodiscard]] ClientEntry* admit(const wire::IpAddress& client, Instant now);
  void released(ClientEntry& entry);

  [[nodiscard]] std::size_t size() const;

 private:
  struct Hash {
    SipKey key;
    [[nodiscard]] std::size_t operator()(const wire::IpAddress& address) const;
  };

  [[nodiscard]] ClientEntry* find_or_add(const wire::IpAddress& key, Instant now);
  // A few of those that have been without sessions for longest.
  void forget_some(Instant now);

  const LimitPlan plan_;
  const std::size_t clients_max_;
  mutable std::mutex mutex_;  // For what follows.
  std::list<ClientEntry> busy_;
  std::list<ClientEntry> idle_;  // Without sessions; since longest in front.
  std::unordered_map<wire::IpAddress, ClientEntry*, Hash> index_;
};

}  // namespace sluice::forward
