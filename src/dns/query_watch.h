// Who sees which questions of the guest's got an answer, and from where: for the event stream.
// Those that were refused are the judge's to tell (query_judge.h), who knows why.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/unreachable.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

enum class AnswerSource : std::uint8_t {
  kResolver,
  kCache,
  kLocal,   // We knew it.
  kNobody,  // There was none: no resolver, or none that answered in time.
};

[[nodiscard]] constexpr std::string_view to_string(AnswerSource source) {
  switch (source) {
    case AnswerSource::kResolver: return "resolver";
    case AnswerSource::kCache: return "cache";
    case AnswerSource::kLocal: return "sluice";
    case AnswerSource::kNobody: return "none";
  }
  unreachable("source of an answer outside its enum");
}

class QueryWatch {
 public:
  // `answer` is what the guest got; null: SERVFAIL, or an answer of our own. Equal questions that
  // wait for the same answer count as one.
  virtual void on_answered(const wire::DnsQuestion& question, const wire::DnsView* answer,
                           AnswerSource source) = 0;

 protected:
  ~QueryWatch() = default;
};

}  // namespace sluice::dns
