// By whom a flow is led that a rule leads by somebody else, a broker or a parent proxy, who
// connects to the target in our place; and what he is told. Nothing of such a flow ever goes there
// directly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flow/core/flow_admission.h"
#include "flow/core/flow_key.h"
#include "flow/core/named_by.h"
#include "flow/gate/claim.h"
#include "policy/egress/via.h"

namespace sluice::flow {

struct Way {
  policy::Via via{};
  std::string host;                     // Whom he is to connect to: a name, or an address.
  std::vector<std::uint8_t> preface{};  // What he is told, before anything of the guest's.
};

struct Leading {
  enum class Kind : std::uint8_t { kDirect, kByWay, kNobody };
  Kind kind = Kind::kDirect;
  std::optional<Way> way{};  // Of kByWay.
};

// By the rule that lets the flow through. kNobody: to which name is not clear, or cannot be said.
[[nodiscard]] Leading find_way(const FlowAdmission& admission, const NamedBy& by,
                               const FlowKey& key);
// Whether a flow that is led so is led as its rule says, and to its name.
[[nodiscard]] bool is_led_right(const FlowAdmission& admission, const NamedBy& by, const Way* way);

// Where names are led by different people, a connection is for one name: refuses all others.
class OneName final : public ClaimJudge {
 public:
  OneName(ClaimJudge& judge, dns::NameId name) : judge_(judge), name_(name) {}

  [[nodiscard]] Judged judge_claim(const FlowKey& key, const NamedBy& by, const Claim& claim,
                                   Instant now) override;
  [[nodiscard]] RefusalWords words_of(const FlowKey& key, const Judged& judged) override {
    return judge_.words_of(key, judged);
  }

 private:
  ClaimJudge& judge_;
  dns::NameId name_;
};

}  // namespace sluice::flow
