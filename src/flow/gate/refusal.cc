#include "flow/gate/refusal.h"

#include <string>

#include "base/unreachable.h"
#include "wire/first_bytes/refusal_answers.h"

namespace sluice::flow {
namespace {

[[nodiscard]] std::vector<std::uint8_t> access_denied() {
  return {wire::kTlsAccessDenied.begin(), wire::kTlsAccessDenied.end()};
}

[[nodiscard]] std::string_view words_for(wire::HttpFault fault) {
  switch (fault) {
    case wire::HttpFault::kNone: return "the request is not whole";
    case wire::HttpFault::kSyntax: return "the request is not as RFC 9112 has it";
    case wire::HttpFault::kTooLong: return "the head of the request is longer than 16 KiB";
    case wire::HttpFault::kVersion: return "only HTTP/1.0 and HTTP/1.1 can be judged here";
    case wire::HttpFault::kHost: return "the request does not name one host";
    case wire::HttpFault::kFraming: return "where the request ends can be read in two ways";
    case wire::HttpFault::kConnect: return "CONNECT would lead past the policy";
    case wire::HttpFault::kUpgrade: return "only an upgrade to WebSocket is allowed";
  }
  unreachable("a fault of HTTP outside its enum");
}

[[nodiscard]] Refusal refusal_page(wire::RefusalPage page, policy::Verdict verdict, bool http) {
  Refusal refusal{.verdict = verdict};
  if (!http) return refusal;
  page.why = policy::reason_id(verdict);
  refusal.answer = wire::make_refusal_page(page);
  return refusal;
}

}  // namespace

Refusal refusal_of(const FlowKey& key, const Claim& claim, const Judged& judged,
                   ClaimJudge& judge) {
  Refusal refusal{.verdict = judged.verdict, .by = judged.by};
  if (claim.kind == Claim::Kind::kTls) refusal.answer = access_denied();
  if (claim.kind != Claim::Kind::kHttp) return refusal;
  const RefusalWords words = judge.words_of(key, judged);
  const std::string name = claim.name ? claim.name->to_text() : wire::to_string(key.remote.address);
  const std::string what = name + ":" + std::to_string(key.remote.port.value) + " is not allowed";
  const bool quota = judged.verdict == policy::Verdict::kQuota;
  refusal.answer = wire::make_refusal_page(
      {.status = quota ? wire::RefusalStatus::kTooManyRequests : wire::RefusalStatus::kForbidden,
       .what = what,
       .why = policy::reason_id(judged.verdict),
       .rule = words.rule,
       .note = words.note,
       .number = words.number});
  return refusal;
}

Refusal refusal_of_hello() {
  return {.verdict = policy::Verdict::kNoServerName, .answer = access_denied()};
}

Refusal refusal_of_request(wire::HttpFault fault) {
  const auto verdict =
      fault == wire::HttpFault::kHost ? policy::Verdict::kHostMismatch : policy::Verdict::kNotHttp;
  return {.verdict = verdict,
          .answer = wire::make_refusal_page(
              {.what = words_for(fault), .why = policy::reason_id(verdict)})};
}

Refusal refusal_of_limit(bool http, const RefusalWords& words) {
  return refusal_page({.status = wire::RefusalStatus::kTooManyRequests,
                       .what = "a limit on this is reached",
                       .rule = words.rule,
                       .note = words.note},
                      policy::Verdict::kQuota, http);
}

Refusal refusal_of_way(bool http, const RefusalWords& words) {
  return refusal_page({.status = wire::RefusalStatus::kBadGateway,
                       .what = "the broker that leads there does not answer, or refuses it",
                       .rule = words.rule,
                       .note = words.note},
                      policy::Verdict::kViaFailed, http);
}

}  // namespace sluice::flow
