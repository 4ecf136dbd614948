// A flow that waits for people to say whether it may go on, and whoever asks them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "flow/core/ask.h"
#include "flow/core/flow_key.h"
#include "flow/core/named_by.h"
#include "policy/verdict.h"
#include "wire/messages/domain_name.h"

namespace sluice::driver {

struct AskedFlow {
  std::uint32_t worker = 0;  // Whose it is.
  flow::FlowId flow;
  flow::FlowKey key;
  flow::NamedBy by;
  std::optional<wire::DomainName> name;  // By which it goes.
  std::string rule;                      // Which asks,
  std::string note;                      // ... and what it tells.
};

// What a question has become, for the worker whose flow it is about.
struct FlowRuled {
  flow::FlowId flow;
  // An echo request, which has not waited.
  flow::FlowKey key;
  flow::NamedBy by;
  policy::Verdict verdict = policy::Verdict::kAccepted;
};

// In the thread of the first worker, within its turns: what workers do is not called from here.
class Asker {
 public:
  // The verdict at once; or nothing, and it comes later by Worker::rule().
  [[nodiscard]] virtual std::optional<policy::Verdict> on_asked(const AskedFlow& asked,
                                                                Instant now) = 0;
  // The flow has ended, or the policy decides about it by now.
  virtual void on_withdrawn(std::uint32_t worker, const flow::FlowId& flow) = 0;

 protected:
  ~Asker() = default;
};

}  // namespace sluice::driver
