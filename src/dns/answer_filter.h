// What of a resolver's answer concerns the name that was asked for, and what of that the guest may
// have. From the question's name on, aliases (CNAME) are followed inside of this answer alone, and
// only addresses at the end of that chain count, whatever else a resolver puts beside them.
//
//   A, AAAA       kept as the rules say; those of other names are taken out
//   HTTPS, SVCB   ipv4hint and ipv6hint are addresses, too; `ech`, which hides the name that a
//                 connection is for, is taken out (RFC 9460, 7.3; RFC 9848)
//   others        as they are
//
// An answer in which all is well is left as it is. One that must change is written anew, with its
// answer section alone, so that no signature of it holds. Sans-IO, one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "wire/address.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

class AnswerRules {
 public:
  // Whether a name to which an alias leads may be followed.
  [[nodiscard]] virtual bool follows(const wire::DomainName& alias) = 0;
  // Whether the guest may have this address of the name in question, for so long. Asked twice where
  // an answer is written anew.
  [[nodiscard]] virtual bool keeps(const wire::IpAddress& address, std::uint32_t ttl_seconds) = 0;

 protected:
  ~AnswerRules() = default;
};

enum class FilteredAnswer : std::uint8_t {
  kAsItIs,
  kChanged,
  kNothingLeft,  // It had addresses, and the guest may have none of them.
  kAliasRefused,
  kMalformed,
};

// More addresses are not kept, nor asked about; nor is a longer chain followed.
inline constexpr std::size_t kAnswerAddressesMax = 100;
inline constexpr std::size_t kAliasesMax = 16;
// No answer is for longer.
inline constexpr std::uint32_t kAnswerTtlMax = 86'400;

// `changed` is the message where the answer is kChanged. `answer` has a plain question.
[[nodiscard]] FilteredAnswer filter_answer(const wire::DnsView& answer, AnswerRules& rules,
                                           std::vector<std::uint8_t>& changed);

}  // namespace sluice::dns
