#include "dns/dns_cache.h"

#include <algorithm>
#include <utility>

namespace sluice::dns {
namespace {

// RFC 2181, 8: a TTL with its highest bit set counts as zero.
constexpr std::uint32_t sane_ttl(std::uint32_t ttl) { return (ttl >> 31) != 0 ? 0 : ttl; }

}  // namespace

std::optional<ByteView> DnsCache::find(const DnsKey& key, const wire::DnsView& query, Instant now) {
  const std::uint32_t index = index_of(digest_of(key));
  if (index == Index::kNone || !std::ranges::equal(entries_.at(index).key, key.bytes())) {
    ++misses_;
    return std::nullopt;
  }
  Entry& entry = entries_.at(index);
  const ByteView question = query.question_bytes();
  if (now >= entry.expires || now < entry.stored ||
      entry.message.size() < wire::kDnsHeaderSize + question.size()) {
    erase(index);
    ++misses_;
    return std::nullopt;
  }
  ++hits_;
  const auto link = [this](std::uint32_t at) -> IndexLink& { return link_of(at); };
  by_use_.remove(index, link);
  by_use_.push_back(index, link);

  const MutableBytes message(entry.message);
  put16<0>(message.first<2>(), query.header().id);
  std::ranges::copy(question, message.subspan(wire::kDnsHeaderSize).begin());
  const auto age = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now - entry.stored).count());
  for (const TtlField& field : entry.ttls) {
    put32<0>(message.subspan(field.offset).first<4>(),
             field.seconds > age ? field.seconds - age : 0);
  }
  return message;
}

void DnsCache::store(const DnsKey& key, const wire::DnsView& answer, Instant now) {
  if (limits_.entries_max == 0 || answer.message().size() > kAnswerSizeMax ||
      !has_plain_question(answer)) {
    return;
  }
  auto lifetime = DnsCache::lifetime(answer);
  if (!lifetime || lifetime->seconds == 0) return;

  Entry entry;
  entry.digest = digest_of(key);
  entry.key.assign(key.bytes().begin(), key.bytes().end());
  entry.message.assign(answer.message().begin(), answer.message().end());
  entry.ttls = std::move(lifetime->ttls);
  entry.stored = now;
  entry.expires = now + std::chrono::seconds(lifetime->seconds);
  const std::size_t size = size_of(entry);
  if (size > limits_.bytes_max) return;

  if (const std::uint32_t old = index_of(entry.digest); old != Index::kNone) erase(old);
  while (entries_.size() > 0 &&
         (entries_.size() >= limits_.entries_max || bytes_held_ + size > limits_.bytes_max)) {
    erase(by_use_.front());
  }
  bytes_held_ += size;
  const Digest digest = entry.digest;
  const std::uint32_t index = entries_.emplace(std::move(entry)).index;
  index_.insert(digest, index);
  by_use_.push_back(index, [this](std::uint32_t at) -> IndexLink& { return link_of(at); });
}

void DnsCache::clear() {
  while (entries_.size() > 0) erase(by_use_.front());
}

// Nothing for an answer that must not be kept.
std::optional<DnsCache::Lifetime> DnsCache::lifetime(const wire::DnsView& answer) {
  const wire::DnsHeader& header = answer.header();
  // Part of an answer is no answer to keep.
  if (!header.response || header.truncated) return std::nullopt;
  const bool failed = header.rcode == wire::DnsRcode::kServFail;
  const bool missing = header.rcode == wire::DnsRcode::kNxDomain;
  if (header.rcode != wire::DnsRcode::kNoError && !missing && !failed) return std::nullopt;

  const bool negative = missing || header.answer_count == 0;
  Lifetime result{negative ? kMaxNegativeTtlSeconds : kMaxTtlSeconds, {}};
  bool has_soa = false;
  for (wire::DnsRecordReader records = answer.records(); !records.done();) {
    const auto record = records.next();
    if (!record) return std::nullopt;
    if (!record->has_ttl()) {
      if (edns_extended_rcode(record->ttl) != 0) return std::nullopt;
      continue;
    }
    const std::uint32_t ttl = sane_ttl(record->ttl);
    result.ttls.push_back({static_cast<std::uint32_t>(record->ttl_offset), ttl});
    result.seconds = std::min(result.seconds, ttl);
    if (record->section != wire::DnsSection::kAuthority || record->type != wire::DnsType::kSoa) {
      continue;
    }
    // RFC 2308, 5: also where aliases lead to a name that has no such record.
    const auto minimum = wire::dns_soa_minimum(answer.message(), *record);
    if (!minimum) return std::nullopt;
    has_soa = true;
    result.seconds = std::min(result.seconds, *minimum);
  }
  if (failed) {
    result.seconds = kFailureTtlSeconds;
    return result;
  }
  // RFC 2308, 5: a negative answer without SOA must not be kept; without it the answer may also be
  // a referral.
  if (negative && !has_soa) return std::nullopt;
  return result;
}

std::size_t DnsCache::size_of(const Entry& entry) {
  // The allocator's heads, and the place in the index.
  constexpr std::size_t kOverhead = 64;
  return sizeof(Entry) + kOverhead + entry.key.size() + entry.message.size() +
         entry.ttls.size() * sizeof(TtlField);
}

void DnsCache::erase(std::uint32_t index) {
  const Entry& entry = entries_.at(index);
  bytes_held_ -= size_of(entry);
  index_.erase(entry.digest, index);
  by_use_.remove(index, [this](std::uint32_t at) -> IndexLink& { return link_of(at); });
  entries_.erase(entries_.handle_of(index));
}

}  // namespace sluice::dns
