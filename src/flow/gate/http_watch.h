// The requests of one connection of HTTP, each judged before its server gets it.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "flow/gate/claim.h"
#include "flow/gate/refusal.h"
#include "wire/first_bytes/http_requests.h"

namespace sluice::flow {

// Whose bytes are judged, by whom and when. Nothing is owned.
struct Asking {
  const FlowKey& key;
  ClaimJudge& judge;
  Instant now;
  NamedBy by{};  // By which the flow began.
};

class HttpWatch {
 public:
  struct Course {
    std::size_t passed = 0;            // So many of the bytes may go on; the rest needs more.
    std::optional<Refusal> refusal{};  // ... or nothing goes on.
    std::optional<NamedBy> by{};       // Of the last request that goes on, if one begins there.
  };

  // `bytes` follow on those that passed; of these `seen` were here before, and needed more.
  [[nodiscard]] Course pass(ByteView bytes, std::size_t seen, const Asking& asking);

  // As wire::HttpRequests.
  bool hear(ByteView answer) { return requests_.hear(answer); }
  [[nodiscard]] bool listens() const { return requests_.listens(); }
  // Whatever follows may go on.
  [[nodiscard]] bool is_over() const { return only_first_ || requests_.is_opaque(); }

 private:
  wire::HttpRequests requests_;
  bool only_first_ = false;  // The first request was judged, and the policy asks for no more.
};

}  // namespace sluice::flow
