#include "dns/answer_filter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "dns/dns_query.h"
#include "dns/svcb_params.h"
#include "wire/messages/edns.h"

namespace sluice::dns {
namespace {

using wire::DnsRecord;
using wire::DnsSection;
using wire::DnsType;
using wire::DnsView;
using wire::DomainName;

// What a name may be compressed to; more than any answer becomes by being written out.
constexpr std::size_t kMessageMax = 65'535;
constexpr std::uint32_t kDnssecOkBit = 0x8000;

struct Alias {
  DomainName from;
  DomainName to;
};

bool is_service(DnsType type) { return type == DnsType::kHttps || type == DnsType::kSvcb; }

// RFC 2181, 8: a TTL with its highest bit set counts as zero.
std::uint32_t sane_ttl(std::uint32_t ttl) { return (ttl >> 31) != 0 ? 0 : ttl; }

// Calls `visit(record)` for each record of the answer section, until it says false. False if one is
// malformed.
template <typename Visitor>
bool visit_answers(const DnsView& answer, Visitor&& visit) {
  for (wire::DnsRecordReader records = answer.records(); !records.done();) {
    const auto record = records.next();
    if (!record) return false;
    if (record->section != DnsSection::kAnswer || !visit(*record)) return true;
  }
  return true;
}

// The data of a record as it may stand in another message; nothing for a type whose names may be
// compressed in a way that we do not know.
std::optional<std::vector<std::uint8_t>> portable(const DnsView& answer, const DnsRecord& record) {
  const auto copy = [](ByteView bytes) {
    return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
  };
  const ByteView message = answer.message().first(record.rdata_offset + record.rdata.size());
  switch (static_cast<std::uint16_t>(record.type)) {
    case static_cast<std::uint16_t>(DnsType::kCname):
    case static_cast<std::uint16_t>(DnsType::kNs):
    case static_cast<std::uint16_t>(DnsType::kPtr): {
      const auto name = wire::dns_target_name(answer.message(), record);
      return name ? std::optional(copy(name->wire())) : std::nullopt;
    }
    case static_cast<std::uint16_t>(DnsType::kSrv): {
      constexpr std::size_t kNumbers = 6;  // Priority, weight, port.
      if (record.rdata.size() <= kNumbers) return std::nullopt;
      const auto name =
          wire::read_name(message, record.rdata_offset + kNumbers, wire::kDnsHeaderSize);
      if (!name || name->next != message.size()) return std::nullopt;
      auto data = copy(record.rdata.first<kNumbers>());
      data.insert(data.end(), name->name.wire().begin(), name->name.wire().end());
      return data;
    }
    case static_cast<std::uint16_t>(DnsType::kA):
    case static_cast<std::uint16_t>(DnsType::kAaaa):
    case static_cast<std::uint16_t>(DnsType::kTxt): return copy(record.rdata);
    default: return std::nullopt;
  }
}

class Filter {
 public:
  Filter(const DnsView& answer, AnswerRules& rules)
      : answer_(answer), rules_(rules), end_(answer.question()->name) {}

  FilteredAnswer run(std::vector<std::uint8_t>& changed) {
    if (const auto refused = follow_aliases()) return *refused;
    // Nearly every answer is well as it is: nothing is kept of it before that is known.
    if (const auto refused = take_all()) return *refused;
    if (seen_ > 0 && kept_addresses_ == 0) return FilteredAnswer::kNothingLeft;
    if (!changed_) return FilteredAnswer::kAsItIs;
    keeping_ = true;
    seen_ = kept_addresses_ = 0;
    if (const auto refused = take_all()) return *refused;
    return write(changed) ? FilteredAnswer::kChanged : FilteredAnswer::kMalformed;
  }

 private:
  struct Kept {
    DnsRecord record;
    std::vector<std::uint8_t> service;  // Of a service its data.
  };

  std::optional<FilteredAnswer> follow_aliases() {
    std::vector<Alias> aliases;
    bool malformed = false;
    const bool whole = visit_answers(answer_, [&](const DnsRecord& record) {
      if (record.type != DnsType::kCname) return true;
      const auto target = wire::dns_target_name(answer_.message(), record);
      malformed = !target || aliases.size() >= kAliasesMax;
      if (!malformed) aliases.push_back({record.name, *target});
      return !malformed;
    });
    if (!whole || malformed) return FilteredAnswer::kMalformed;
    for (std::size_t hops = 0;; ++hops) {
      const auto next = std::ranges::find(aliases, end_, &Alias::from);
      if (next == aliases.end()) return std::nullopt;
      if (hops >= kAliasesMax) return FilteredAnswer::kMalformed;  // In a circle.
      if (!rules_.follows(next->to)) return FilteredAnswer::kAliasRefused;
      end_ = next->to;
    }
  }

  std::optional<FilteredAnswer> take_all() {
    bool refused = false;
    const bool whole = visit_answers(answer_, [&](const DnsRecord& record) {
      if (is_service(record.type)) {
        refused = !take_service(record);
      } else if (wire::dns_address(record)) {
        take_address(record);
      } else {
        if (sane_ttl(record.ttl) > kAnswerTtlMax) changed_ = true;
        keep(record, {});
      }
      return !refused;
    });
    if (!whole) return FilteredAnswer::kMalformed;
    return refused ? std::optional(FilteredAnswer::kAliasRefused) : std::nullopt;
  }

  void keep(const DnsRecord& record, std::vector<std::uint8_t> service) {
    if (keeping_) kept_.push_back({record, std::move(service)});
  }

  void take_address(const DnsRecord& record) {
    const std::uint32_t ttl = std::min(sane_ttl(record.ttl), kAnswerTtlMax);
    if (record.name != end_) {
      changed_ = true;  // Of a name that nobody asked for.
      return;
    }
    ++seen_;
    if (kept_addresses_ >= kAnswerAddressesMax || !rules_.keeps(*wire::dns_address(record), ttl)) {
      changed_ = true;
      return;
    }
    ++kept_addresses_;
    if (ttl != record.ttl) changed_ = true;
    keep(record, {});
  }

  // False if it leads to a name that is refused.
  bool take_service(const DnsRecord& record) {
    if (record.name != end_) {
      changed_ = true;
      return true;
    }
    const std::uint32_t ttl = std::min(sane_ttl(record.ttl), kAnswerTtlMax);
    auto data = read_svcb(record.rdata, rules_, ttl);
    if (!data) {
      changed_ = true;
      return true;
    }
    if (!data->target.is_root() && !rules_.follows(data->target)) return false;
    if (data->changed || ttl != record.ttl) changed_ = true;
    keep(record, std::move(data->rdata));
    return true;
  }

  bool write(std::vector<std::uint8_t>& out) const {
    out.resize(kMessageMax);
    wire::DnsHeader header = answer_.header();
    header.authentic_data = false;
    wire::DnsBuilder builder(out, header);
    builder.add_question(*answer_.question());
    for (const Kept& kept : kept_) {
      const DnsRecord& record = kept.record;
      const auto data =
          is_service(record.type) ? std::optional(kept.service) : portable(answer_, record);
      if (!data) continue;
      builder.add_record(DnsSection::kAnswer, record.name, record.type, record.klass,
                         std::min(sane_ttl(record.ttl), kAnswerTtlMax), *data);
    }
    if (const auto edns = edns_of_answer()) wire::add_edns(builder, *edns);
    const auto size = builder.finish();
    out.resize(size.value_or(0));
    return size.has_value();
  }

  std::optional<wire::EdnsRecord> edns_of_answer() const {
    for (wire::DnsRecordReader records = answer_.records(); !records.done();) {
      const auto record = records.next();
      if (!record) return std::nullopt;
      if (record->type != DnsType::kOpt) continue;
      return wire::EdnsRecord{.udp_payload_size = static_cast<std::uint16_t>(record->klass),
                              .dnssec_ok = (record->ttl & kDnssecOkBit) != 0};
    }
    return std::nullopt;
  }

  const DnsView& answer_;
  AnswerRules& rules_;
  DomainName end_;  // Of the chain of aliases.
  std::vector<Kept> kept_;
  std::size_t seen_ = 0;
  std::size_t kept_addresses_ = 0;
  bool changed_ = false;
  bool keeping_ = false;
};

}  // namespace

FilteredAnswer filter_answer(const wire::DnsView& answer, AnswerRules& rules,
                             std::vector<std::uint8_t>& changed) {
  return Filter(answer, rules).run(changed);
}

}  // namespace sluice::dns
