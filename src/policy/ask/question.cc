#include "policy/ask/question.h"

#include <fmt/core.h>

namespace sluice::policy {
namespace {

[[nodiscard]] std::string subject_text(const Question& question, AnswerBreadth breadth) {
  const Subject& subject = question.subject;
  if (breadth == AnswerBreadth::kDomain) return "." + question.domain;
  if (subject.name) return subject.name->to_text();
  const std::string address = wire::to_string(subject.address);
  return subject.address.is_v4() ? address : fmt::format("[{}]", address);
}

// A guest may ask for "*.example.com" or "@public", which are rules of another kind.
[[nodiscard]] bool speaks_of(const EgressTarget& target, const Question& question,
                             AnswerBreadth breadth) {
  const Subject& subject = question.subject;
  const NamePattern* const pattern = target.name();
  if (!subject.name || pattern == nullptr) return !subject.name && pattern == nullptr;
  if (breadth == AnswerBreadth::kDomain) return pattern->kind() == NamePattern::Kind::kWithin;
  return pattern->kind() == NamePattern::Kind::kExact && pattern->base() == *subject.name;
}

}  // namespace

std::optional<EgressTarget> target_of(const Question& question, AnswerBreadth breadth) {
  const Subject& subject = question.subject;
  if (breadth == AnswerBreadth::kDomain && (!subject.name || question.domain.empty())) {
    return std::nullopt;
  }
  std::string text = subject_text(question, breadth);
  if (subject.protocol != Protocol::kIcmp) {
    text += breadth == AnswerBreadth::kName ? ":*" : fmt::format(":{}", subject.port.value);
  }
  auto target = parse_egress_target(fmt::format("{}/{}", text, to_string(subject.protocol)));
  if (!target || !speaks_of(*target, question, breadth)) return std::nullopt;
  return std::move(*target);
}

}  // namespace sluice::policy
