// What a guest says in its first bytes about whom it wants, and whoever judges that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "base/unreachable.h"
#include "flow/core/flow_key.h"
#include "flow/core/named_by.h"
#include "policy/verdict.h"
#include "wire/messages/domain_name.h"

namespace sluice::flow {

struct Claim {
  enum class Kind : std::uint8_t { kTls, kHttp, kOpaque };

  Kind kind = Kind::kOpaque;
  std::optional<wire::DomainName>
      name{};                    // Where the protocol has a place for it, and it is there.
  bool encrypted_hello = false;  // The name of a TLS hello may be that of a front.
};

// For programs.
[[nodiscard]] constexpr std::string_view to_string(Claim::Kind kind) {
  switch (kind) {
    case Claim::Kind::kTls: return "tls";
    case Claim::Kind::kHttp: return "http";
    case Claim::Kind::kOpaque: return "opaque";
  }
  unreachable("claim outside its enum");
}

struct Judged {
  policy::Verdict verdict = policy::Verdict::kAccepted;
  bool every_request = true;  // Of HTTP: those that follow are judged as well.
  NamedBy by{};
};

// Of a refusal, for a person to read.
struct RefusalWords {
  std::string rule;  // The id of the rule that decided; empty where none did.
  std::string note;
  std::uint32_t number = 0;  // Under which the guest can look it up; 0: it cannot.
};

class ClaimJudge {
 public:
  ClaimJudge() = default;
  ClaimJudge(const ClaimJudge&) = delete;
  ClaimJudge& operator=(const ClaimJudge&) = delete;
  virtual ~ClaimJudge() = default;

  // Of a flow that began by `by`.
  [[nodiscard]] virtual Judged judge_claim(const FlowKey& key, const NamedBy& by,
                                           const Claim& claim, Instant now) = 0;
  [[nodiscard]] virtual RefusalWords words_of(const FlowKey& key, const Judged& judged) = 0;
};

}  // namespace sluice::flow
