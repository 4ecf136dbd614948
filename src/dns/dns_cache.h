// Answers of the host's resolvers, kept as long as their records allow and no longer (RFC 1035,
// RFC 2308, RFC 2181 8). Bounded in entries and bytes; the least recently used goes first.
//
// The guest chooses the keys, so they are hashed by SipHash. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/index_queue.h"
#include "base/index_table.h"
#include "base/siphash.h"
#include "base/slab.h"
#include "base/time.h"
#include "dns/dns_query.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

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
  // Of a key, by the secret.
  struct Digest {
    std::uint64_t value = 0;
    struct NoSecret {};
    [[nodiscard]] std::uint64_t hash(NoSecret) const { return value; }
    friend bool operator==(const Digest&, const Digest&) = default;
  };
  struct Entry {
    Digest digest{};
    IndexLink link{};
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
  // A table without a list for each place: an entry that is not there, as with a new name, is told
  // by one look at it.
  using Index = IndexTable<Digest, Digest::NoSecret, 256>;

  [[nodiscard]] Digest digest_of(const DnsKey& key) const { return {siphash(key_, key.bytes())}; }
  [[nodiscard]] std::uint32_t index_of(const Digest& digest) const {
    return index_.find(digest, [&](std::uint32_t index) { return entries_.at(index).digest; });
  }
  [[nodiscard]] IndexLink& link_of(std::uint32_t index) { return entries_.at(index).link; }
  [[nodiscard]] static std::optional<Lifetime> lifetime(const wire::DnsView& answer);
  [[nodiscard]] static std::size_t size_of(const Entry& entry);
  void erase(std::uint32_t index);

  SipKey key_;
  DnsCacheLimits limits_;
  Slab<Entry> entries_;
  IndexQueue by_use_;  // The most recently used last.
  Index index_{{}};
  std::size_t bytes_held_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace sluice::dns
