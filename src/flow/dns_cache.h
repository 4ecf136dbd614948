// Answers of the host's resolvers, kept as long as their records allow and no longer (RFC 1035,
// RFC 2308, RFC 2181 8). Bounded in entries and bytes; the least recently used goes first.
//
// The guest chooses the keys, so they are hashed by SipHash. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/siphash.h"
#include "base/time.h"
#include "flow/dns_query.h"
#include "wire/dns.h"

namespace sluice::flow {

struct DnsCacheLimits {
  std::size_t entries_max = 4096;
  std::size_t bytes_max = 4U << 20U;
};

class DnsCache {
 public:
  static constexpr std::uint32_t kMaxTtlSeconds = 86'400;
  // RFC 2308, 5 allows hours; a guest whose host changed the network should not wait for them.
  static constexpr std::uint32_t kMaxNegativeTtlSeconds = 5 * 60;
  // A resolver's failure: long enough to stop a storm of repeats (RFC 9520, 3.2), no longer.
  static constexpr std::uint32_t kFailureTtlSeconds = 2;
  static constexpr std::size_t kAnswerSizeMax = 16'384;

  DnsCache(const SipKey& key, const DnsCacheLimits& limits) : key_(key), limits_(limits) {}

  // The answer to `query`, which is shareable: with its id, its own spelling of the question, and
  // the TTLs that are left. Valid until the next call.
  [[nodiscard]] std::optional<ByteView> find(const DnsKey& key, const wire::DnsView& query,
                                             Instant now);

  // Keeps `answer` if it may be kept. `answer` belongs to the question in `key`.
  void store(const DnsKey& key, const wire::DnsView& answer, Instant now);

  [[nodiscard]] std::size_t entries() const { return entries_.size(); }
  [[nodiscard]] std::size_t bytes_held() const { return bytes_held_; }
  [[nodiscard]] std::uint64_t hits() const { return hits_; }
  [[nodiscard]] std::uint64_t misses() const { return misses_; }
  void clear();

 private:
  struct TtlField {
    std::uint32_t offset = 0;
    std::uint32_t seconds = 0;
  };
  struct Entry {
    std::uint64_t hash = 0;
    std::vector<std::uint8_t> key;
    std::vector<std::uint8_t> message;
    std::vector<TtlField> ttls;
    Instant stored{};
    Instant expires{};
  };
  // How long an answer holds, and where its TTLs are.
  struct Lifetime {
    std::uint32_t seconds = 0;
    std::vector<TtlField> ttls;
  };
  using Position = std::list<Entry>::iterator;

  [[nodiscard]] static std::optional<Lifetime> lifetime(const wire::DnsView& answer);
  [[nodiscard]] static std::size_t size_of(const Entry& entry);
  void erase(Position position);

  SipKey key_;
  DnsCacheLimits limits_;
  std::list<Entry> entries_;  // The most recently used first.
  std::unordered_map<std::uint64_t, Position> index_;
  std::size_t bytes_held_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace sluice::flow
