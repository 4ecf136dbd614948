#include "flow/gate/first_bytes.h"

#include <utility>

#include "wire/first_bytes/client_hello.h"

namespace sluice::flow {
namespace {

using Kind = GateFinding::Kind;

[[nodiscard]] GateFinding refused(Refusal refusal) {
  return {.kind = Kind::kRefused, .refusal = std::move(refusal)};
}

[[nodiscard]] GateFinding judge(const Claim& claim, const Asking& asking) {
  const Judged judged = asking.judge.judge_claim(asking.key, asking.by, claim, asking.now);
  if (judged.verdict == policy::Verdict::kAccepted) return {.kind = Kind::kPass, .by = judged.by};
  return refused(refusal_of(asking.key, claim, judged, asking.judge));
}

[[nodiscard]] GateFinding judge_hello(const wire::ClientHello& hello, bool finished,
                                      const Asking& asking) {
  using Finding = wire::ClientHello::Finding;
  if (hello.finding == Finding::kNeedMore && !finished) return {};
  Claim claim{.kind = Claim::Kind::kTls, .encrypted_hello = hello.encrypted};
  if (hello.finding == Finding::kServerName) {
    claim.name = hello.server_name;
  } else if (hello.finding != Finding::kNoServerName) {
    return refused(refusal_of_hello());
  }
  return judge(claim, asking);
}

// All that is here goes on at once: a request that is not whole yet keeps those before it waiting.
[[nodiscard]] GateFinding judge_requests(const FirstBytes& first, const Asking& asking) {
  HttpWatch watch;
  HttpWatch::Course course = watch.pass(first.bytes, 0, asking);
  if (course.refusal) return refused(std::move(*course.refusal));
  if (course.passed == first.bytes.size()) {
    GateFinding finding{.kind = Kind::kPass, .by = course.by};
    if (!watch.is_over()) finding.watch = watch;
    return finding;
  }
  // Nobody speaks WebSocket before the server has agreed.
  if (first.finished || watch.listens()) {
    return refused(refusal_of_request(wire::HttpFault::kNone));
  }
  return {};
}

}  // namespace

GateFinding judge_first_bytes(const FirstBytes& first, const Asking& asking) {
  // A guest that closes without a word says nothing that could be refused.
  if (first.bytes.empty()) return {.kind = first.finished ? Kind::kPass : Kind::kNeedMore};
  const wire::ClientHello hello = wire::read_client_hello(first.bytes);
  if (hello.finding != wire::ClientHello::Finding::kNotTls) {
    return judge_hello(hello, first.finished, asking);
  }
  switch (wire::http_likeness(first.bytes)) {
    case wire::HttpLikeness::kRequest: return judge_requests(first, asking);
    case wire::HttpLikeness::kNeedMore:
      if (!first.finished) return {};
      break;
    case wire::HttpLikeness::kNone: break;
  }
  return judge({.kind = Claim::Kind::kOpaque}, asking);
}

}  // namespace sluice::flow
