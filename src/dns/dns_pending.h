// The questions that the relay asks at present: by slot, by what they ask, and by when they are
// due. Bounded in questions and, over all of them, in clients. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/siphash.h"
#include "base/slab.h"
#include "base/time.h"
#include "dns/dns_query.h"
#include "wire/address.h"

namespace sluice::dns {

// Names one attempt to get an answer. Never used again for another while 2^16 others follow.
struct DnsSlot {
  std::uint32_t value = 0;
  friend bool operator==(const DnsSlot&, const DnsSlot&) = default;
};

// A connection to our DNS, by whatever number its owner knows it.
struct DnsStreamId : SlabHandle {};

// A question of our own, by whatever number its owner knows it.
struct DnsLookupId : SlabHandle {};

// Who asked: a socket of the guest's, a connection, or we ourselves.
struct DnsClient {
  wire::Endpoint endpoint{};  // Of a datagram's sender.
  wire::IpAddress asked{};    // Whom the datagram was for; nobody else may seem to answer.
  DnsStreamId stream{};       // Valid: it asks over this connection.
  DnsLookupId lookup{};       // Valid: it is we who ask.
  friend bool operator==(const DnsClient&, const DnsClient&) = default;

  [[nodiscard]] bool over_tcp() const { return stream.valid(); }
  [[nodiscard]] bool is_ours() const { return lookup.valid(); }
};

struct DnsAsker {
  DnsClient client{};
  std::vector<std::uint8_t> head{};  // Header and question of its query.
  std::size_t size_max = 512;        // Of the answer.
  bool edns = false;                 // It can be told why.
};

struct DnsPending {
  DnsPending(const DnsKey& question_key, std::vector<std::uint8_t> upstream_query)
      : key(question_key), query(std::move(upstream_query)) {}

  DnsKey key;
  std::vector<std::uint8_t> query;  // As sent upstream.
  std::vector<DnsAsker> askers{};
  bool tcp = false;
  bool saw_truncated = false;
  bool shareable = false;
  std::uint16_t id = 0;
  DnsSlot slot{};
  std::uint32_t epoch = 0;   // Counts the lists of resolvers: an answer from before is not kept.
  std::size_t resolver = 0;  // In the list of today.
  wire::Endpoint asked{};    // The resolver of this attempt.
  std::size_t attempts = 0;
  std::size_t tcp_attempts = 0;
  std::size_t errors = 0;
  Instant started{};
  Instant sent{};
  Instant deadline = kNever;
  std::uint64_t hash = 0;  // Of the key, in the table.
};

class DnsPendingTable {
 public:
  DnsPendingTable(const SipKey& key, std::size_t questions_max, std::size_t askers_max);

  // Nothing when a bound is reached; else `asker` is taken over.
  [[nodiscard]] DnsPending* add(const DnsKey& key, std::vector<std::uint8_t> query,
                                DnsAsker& asker);
  [[nodiscard]] bool join(DnsPending& pending, DnsAsker& asker);
  void remove(DnsPending& pending);

  // The question whose present attempt this is.
  [[nodiscard]] DnsPending* find(DnsSlot slot);
  // Whether this very client waits for the answer to this very query already.
  [[nodiscard]] bool asks(const DnsKey& key, const DnsAsker& asker);
  // An equal question that a client of today may share.
  [[nodiscard]] DnsPending* find_shareable(const DnsKey& key, std::uint32_t epoch);

  // Begins another attempt: a new slot, and the time when it is given up.
  void renew(DnsPending& pending, Instant deadline);
  [[nodiscard]] DnsPending* first_due(Instant now);
  [[nodiscard]] Instant next_deadline() const {
    return deadlines_.empty() ? kNever : deadlines_.begin()->first;
  }

  [[nodiscard]] std::size_t size() const { return pending_.size(); }
  [[nodiscard]] std::size_t askers() const { return askers_; }

 private:
  SipKey key_;
  std::size_t questions_max_;
  std::size_t askers_max_;
  Slab<DnsPending> pending_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> by_key_;  // To the slab's index.
  std::set<std::pair<Instant, std::uint32_t>> deadlines_;         // With the slot.
  std::uint16_t attempts_ = 0;
  std::size_t askers_ = 0;
};

}  // namespace sluice::dns
