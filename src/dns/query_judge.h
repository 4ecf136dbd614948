// Who decides which questions leave the host, and what of their answers the guest gets. The relay
// asks before it looks into its cache, and again with each answer, cached or not: so a decision may
// change at any time, and the cache needs to know nothing of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "wire/address.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

// An answer that nobody else is asked for.
struct LocalAnswer {
  wire::DnsRcode rcode = wire::DnsRcode::kNoError;
  // Why it says so little, for those who ask with EDNS; empty: nothing is withheld.
  std::string why{};
  std::optional<wire::DomainName> pointer{};  // A PTR record of the name in question.
  std::optional<wire::IpAddress> address{};   // An A or AAAA record of it.
  std::uint32_t ttl = 0;                      // Its own.
};

// Of an answer to a question that was let through.
struct JudgedAnswer {
  std::optional<LocalAnswer> instead{};  // This in its place.
  // Else, unless it is empty, this: a message with the same question.
  std::vector<std::uint8_t> changed{};
};

class QueryJudge {
 public:
  // Nothing: the question may go on.
  [[nodiscard]] virtual std::optional<LocalAnswer> judge_query(const wire::DnsQuestion& question,
                                                               Instant now) = 0;
  // `answer` has the question that it answers.
  [[nodiscard]] virtual JudgedAnswer judge_answer(const wire::DnsView& answer, Instant now) = 0;

 protected:
  ~QueryJudge() = default;
};

}  // namespace sluice::dns
