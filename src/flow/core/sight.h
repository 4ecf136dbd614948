// What is told of questions for names and of first bytes, for whoever takes it out: the event
// stream. Gathered only while somebody listens, and bounded: the guest decides how much there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "dns/query_watch.h"
#include "flow/core/flow_key.h"
#include "flow/core/named_by.h"
#include "wire/messages/dns.h"

namespace sluice::flow {

// A question that was answered, or that nobody answered.
struct SeenQuery {
  wire::DnsQuestion question{};
  dns::AnswerSource source{};
  wire::DnsRcode rcode{};
  std::uint16_t addresses = 0;
};

// First bytes that were judged, or a later request that was refused.
struct SeenClaim {
  std::uint64_t flow = 0;  // flow_number()
  FlowKey key{};
  std::string_view kind{};  // "tls", "http" or "opaque"
  std::optional<wire::DomainName> name{};
  bool encrypted_hello = false;
  policy::Verdict verdict = policy::Verdict::kAccepted;
  NamedBy by{};
};

struct Sight {
  // Of each kind until it is taken out; more are only counted.
  static constexpr std::size_t kMax = 256;

  bool wanted = false;
  std::vector<SeenQuery> queries{};
  std::vector<SeenClaim> claims{};
  std::uint64_t queries_left_out = 0;
  std::uint64_t claims_left_out = 0;

  [[nodiscard]] bool empty() const { return queries.empty() && claims.empty(); }
  void add(SeenQuery query) {
    if (queries.size() < kMax) {
      queries.push_back(query);
    } else {
      ++queries_left_out;
    }
  }
  void add(SeenClaim claim) {
    if (claims.size() < kMax) {
      claims.push_back(claim);
    } else {
      ++claims_left_out;
    }
  }
};

}  // namespace sluice::flow
