#include "config/egress/target_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/unreachable.h"
#include "config/egress/name_facts.h"

namespace sluice::config {
namespace {

using policy::NamePattern;
using policy::RuleError;

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// The text with its name as A-labels. Where the stars, the ports and the protocol are, it is ASCII
// in any case.
std::expected<std::string, RuleError> in_ascii(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  const std::size_t end = std::min(text.find_first_of(":/"), text.size());
  const std::string_view name = text.substr(0, end);
  const std::size_t dot = name.find('.');
  const bool has_head = dot != std::string_view::npos &&
                        (dot == 0 || name.substr(0, dot).find('*') != std::string_view::npos);
  const std::size_t begin = has_head ? dot + 1 : 0;
  const auto made = to_a_labels(std::string(name.substr(begin)));
  if (!made) return std::unexpected(RuleError{made.error()});
  if (!is_ascii(text.substr(end)) || !is_ascii(name.substr(0, begin))) {
    return std::unexpected(RuleError{"other alphabets in whole labels of a name only"});
  }
  return fmt::format("{}{}{}", name.substr(0, begin), *made, text.substr(end));
}

bool is_for_many(const NamePattern& pattern) {
  return pattern.kind() == NamePattern::Kind::kBelow ||
         pattern.kind() == NamePattern::Kind::kWithin || pattern.kind() == NamePattern::Kind::kGlob;
}

// Fills in `warning`.
std::expected<void, RuleError> check_breadth(const NamePattern& pattern, std::string& warning) {
  if (!is_for_many(pattern)) return {};
  const std::string base = pattern.base().to_text();
  switch (registrations_below(base)) {
    case Registrations::kNone: return {};
    case Registrations::kPublic:
      return std::unexpected(RuleError{fmt::format(
          "a narrower one: anybody can register a name below '{}'; '*' is for all", base)});
    case Registrations::kShared:
      warning = fmt::format(
          "anybody can have a name below '{}', so data can be sent to anybody; name the hosts "
          "that are needed",
          base);
      return {};
    case Registrations::kUnknown:
      warning = "whether it is too wide was not checked, as libpsl is not installed";
      return {};
  }
  unreachable("registrations outside their enum");
}

}  // namespace

std::expected<TargetText, RuleError> read_target(std::string_view text, policy::Effect effect) {
  const auto ascii = in_ascii(text);
  if (!ascii) return std::unexpected(ascii.error());
  auto target = policy::parse_egress_target(*ascii);
  if (!target) return std::unexpected(std::move(target.error()));
  TargetText result{std::move(*target), {}};
  const NamePattern* const pattern = result.target.name();
  if (pattern == nullptr || effect == policy::Effect::kDeny) return result;
  if (auto ok = check_breadth(*pattern, result.warning); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  return result;
}

}  // namespace sluice::config
