// Relays the guest's DNS queries to the host's resolvers (RFC 1035; RFC 5625 for proxies).
//
// Each attempt to get an answer is a slot: the driver opens a fresh connected socket for it, so
// that its port is random and only the resolver asked can answer, and closes it when told to. The
// relay gives each attempt an id of its own and believes only an answer that repeats the question
// (RFC 5452). A silent or failing resolver gives way to the next; a truncated answer is asked for
// again over TCP. Equal questions at the same time share one attempt; what may be cached is.
//
// Nothing calls out: each event appends to a list of actions. Bounds: questions at once, clients of
// one question, the cache, the time for one question. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/siphash.h"
#include "base/time.h"
#include "flow/dns_cache.h"
#include "flow/dns_query.h"
#include "wire/address.h"
#include "wire/dns.h"

namespace sluice::flow {

// Names one attempt, and so one socket. Never used again for another while 2^16 others follow.
struct DnsSlot {
  std::uint32_t value = 0;
  friend bool operator==(const DnsSlot&, const DnsSlot&) = default;
};

// For the guest, from the DNS address of the client's family.
struct DnsAnswer {
  wire::Endpoint client{};
  std::vector<std::uint8_t> message{};
};
// Open a connected UDP socket to `resolver` and send `message`. What arrives goes to
// on_upstream_udp(), a failure to on_upstream_error().
struct OpenDnsUdp {
  DnsSlot slot{};
  std::size_t resolver_index = 0;  // In the list of set_resolvers().
  wire::Endpoint resolver{};
  std::vector<std::uint8_t> message{};
};
// The same over TCP; the driver writes and reads the two bytes of length (RFC 1035, 4.2.2).
struct OpenDnsTcp {
  DnsSlot slot{};
  std::size_t resolver_index = 0;
  wire::Endpoint resolver{};
  std::vector<std::uint8_t> message{};
};
struct CloseDns {
  DnsSlot slot{};
};
using DnsAction = std::variant<DnsAnswer, OpenDnsUdp, OpenDnsTcp, CloseDns>;

enum class DnsQueryOutcome : std::uint8_t {
  kAnswered,   // At once: from the cache, or with an error.
  kForwarded,  // Sent upstream, or joined to an equal question that was.
  kRepeated,   // The same client asks the same again while we still ask: nothing to do.
  kMalformed,  // No answer at all, or FORMERR.
  kTooMany,    // A bound is reached; dropped.
};

struct DnsRelayLimits {
  std::size_t pending_max = 256;
  std::size_t clients_per_question_max = 16;
  DnsCacheLimits cache{};
};

class DnsRelay {
 public:
  static constexpr Duration kFirstTimeout = std::chrono::seconds{1};  // Doubles each round.
  static constexpr Duration kTcpTimeout = std::chrono::seconds{5};
  static constexpr Duration kGiveUpAfter = std::chrono::seconds{10};
  static constexpr Duration kDeadFor = std::chrono::seconds{10};
  static constexpr std::size_t kRoundsMax = 3;
  static constexpr std::size_t kResolversMax = 8;
  static constexpr std::size_t kQuerySizeMax = 4096;

  using Actions = std::vector<DnsAction>;

  explicit DnsRelay(const SipKey& seed, const DnsRelayLimits& limits = {});

  // Best first; at most kResolversMax are kept. Attempts under way go on as they are.
  void set_resolvers(const std::vector<wire::Endpoint>& resolvers);

  // A datagram of the guest to port 53 of the DNS address.
  DnsQueryOutcome on_query(const wire::Endpoint& client, ByteView message, Instant now,
                           Actions& out);
  // Events of a slot that is closed by now are ignored, as is an answer that does not fit.
  void on_upstream_udp(DnsSlot slot, ByteView message, Instant now, Actions& out);
  void on_upstream_tcp(DnsSlot slot, ByteView message, Instant now, Actions& out);
  void on_upstream_error(DnsSlot slot, Instant now, Actions& out);

  void on_timer(Instant now, Actions& out);
  [[nodiscard]] Instant next_deadline() const;

  [[nodiscard]] std::size_t pending() const { return active_; }
  [[nodiscard]] const DnsCache& cache() const { return cache_; }
  // Answers that were not to the question, or malformed.
  [[nodiscard]] std::uint64_t rejected_answers() const { return rejected_answers_; }

 private:
  struct Resolver {
    wire::Endpoint endpoint{};
    Instant dead_until{};
    Instant last_answer{};
  };
  struct Client {
    wire::Endpoint endpoint{};
    std::vector<std::uint8_t> head{};  // Header and question of its query.
    std::uint16_t udp_payload_size = 512;
  };
  struct Pending {
    bool active = false;
    bool tcp = false;
    bool saw_truncated = false;
    bool shareable = false;
    std::uint16_t generation = 0;
    std::uint16_t id = 0;
    std::size_t resolver = 0;
    std::size_t attempts = 0;
    std::size_t errors = 0;
    std::optional<DnsKey> key{};
    std::vector<std::uint8_t> query{};  // As sent upstream.
    std::vector<Client> clients{};
    Instant started{};
    Instant sent{};
    Instant deadline{};
  };

  [[nodiscard]] Pending* find(DnsSlot slot);
  [[nodiscard]] Pending* find_equal(const DnsKey& key);
  [[nodiscard]] Pending* allocate();
  [[nodiscard]] DnsSlot slot_of(const Pending& pending) const;
  [[nodiscard]] std::uint16_t next_id();
  [[nodiscard]] std::size_t choose_resolver(std::size_t first, Instant now) const;

  DnsQueryOutcome join(Pending& pending, Client client);
  void attempt(Pending& pending, bool tcp, Instant now, Actions& out);
  void next_resolver(Pending& pending, Instant now, Actions& out);
  [[nodiscard]] bool answers(const Pending& pending, const wire::DnsView& answer) const;
  void deliver(Pending& pending, const wire::DnsView& answer, Instant now, Actions& out);
  void fail(Pending& pending, Actions& out);
  void close(Pending& pending, Actions& out);
  void finish(Pending& pending, Actions& out);

  SipKey cache_key_;
  SipKey id_key_;
  std::uint64_t id_counter_ = 0;
  DnsRelayLimits limits_;
  DnsCache cache_;
  std::vector<Resolver> resolvers_;
  std::vector<Pending> pending_;  // Grows to its bound, then entries are used again.
  std::size_t active_ = 0;
  std::uint64_t rejected_answers_ = 0;
};

}  // namespace sluice::flow
