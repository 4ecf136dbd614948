// What a guest says in its first bytes about whom it wants, and whoever judges that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
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

struct Judged {
  policy::Verdict verdict = policy::Verdict::kAccepted;
  bool every_request = true;  // Of HTTP: those that follow are judged as well.
  NamedBy by{};
};

// Of a refusal, for a person to read.
struct RefusalWords {
  std::string rule;  // The id of the rule that decided; empty where none did.
  std::string note;
};

class ClaimJudge {
 public:
  ClaimJudge() = default;
  ClaimJudge(const ClaimJudge&) = delete;
  ClaimJudge& operator=(const ClaimJudge&) = delete;
  virtual ~ClaimJudge() = default;

  [[nodiscard]] virtual Judged judge_claim(const FlowKey& key, const Claim& claim, Instant now) = 0;
  [[nodiscard]] virtual RefusalWords words_of(const Judged& judged) = 0;
};

}  // namespace sluice::flow
