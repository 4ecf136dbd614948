#include "policy/egress/name_pattern.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace sluice::policy {
namespace {

constexpr std::string_view kExpected =
    "a name as example.com, *.example.com, .example.com or api-*.example.com";

std::unexpected<RuleError> expected(std::string_view what) {
  return std::unexpected(RuleError{std::string(what)});
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool is_of_a_label(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool all_of_a_label(std::string_view text) { return std::ranges::all_of(text, is_of_a_label); }

std::string folded(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), lower);
  return result;
}

// "10.0.0" and "1.2.3.4.5" are addresses that went wrong: no name of the internet ends in a number.
bool ends_in_a_number(std::string_view text) {
  const std::string_view last = text.substr(text.rfind('.') + 1);
  return std::ranges::all_of(last, [](char c) { return c >= '0' && c <= '9'; });
}

std::expected<wire::DomainName, RuleError> parse_base(std::string_view text) {
  for (const char c : text) {
    if (c == '*') return expected("one star, in the first label");
    if (c != '.' && !is_of_a_label(c)) return expected(kExpected);
  }
  if (text.empty() || text.ends_with('.') || ends_in_a_number(text)) return expected(kExpected);
  const auto name = wire::DomainName::from_text(text);
  if (!name) return expected("labels of 1 to 63 letters, and 253 in all");
  return *name;
}

std::size_t first_label_size(const wire::DomainName& name) { return name.wire()[0]; }

// The name without its first label. Not for the root.
ByteView behind_first_label(const wire::DomainName& name) {
  return name.wire().subspan(first_label_size(name) + 1);
}

}  // namespace

std::expected<NamePattern, RuleError> NamePattern::parse(std::string_view text) {
  NamePattern pattern;
  if (text == "*") return pattern;
  std::string whole = folded(text);
  if (whole.ends_with('.')) whole.pop_back();
  std::string_view rest = whole;
  const std::size_t dot = rest.find('.');
  const std::string_view first = rest.substr(0, dot);
  const std::size_t star = first.find('*');
  if (rest.starts_with('.')) {
    pattern.kind_ = Kind::kWithin;
    rest.remove_prefix(1);
  } else if (star != std::string_view::npos) {
    if (dot == std::string_view::npos) return expected("a name behind the star's label");
    pattern.before_star_ = first.substr(0, star);
    pattern.behind_star_ = first.substr(star + 1);
    if (!all_of_a_label(pattern.before_star_) || !all_of_a_label(pattern.behind_star_)) {
      return expected(kExpected);
    }
    if (first.size() > wire::kLabelSizeMax) return expected("labels of 1 to 63 letters");
    pattern.kind_ = first == "*" ? Kind::kBelow : Kind::kGlob;
    rest.remove_prefix(dot + 1);
  } else {
    pattern.kind_ = Kind::kExact;
  }
  auto base = parse_base(rest);
  if (!base) return std::unexpected(std::move(base.error()));
  pattern.base_ = *base;
  return pattern;
}

bool NamePattern::matches(const wire::DomainName& name) const {
  switch (kind_) {
    case Kind::kExact: return name == base_;
    case Kind::kBelow: return name.is_within(base_) && name != base_;
    case Kind::kWithin: return name.is_within(base_);
    case Kind::kAny: return !name.is_root();
    case Kind::kGlob: break;
  }
  if (name.is_root() || behind_first_label(name).size() != base_.wire().size()) return false;
  if (!name.is_within(base_)) return false;
  std::string label;
  for (const std::uint8_t octet : name.wire().subspan(1, first_label_size(name))) {
    label += lower(static_cast<char>(octet));
  }
  return label.size() >= before_star_.size() + behind_star_.size() &&
         label.starts_with(before_star_) && label.ends_with(behind_star_);
}

std::string to_string(const NamePattern& pattern) {
  const std::string base = pattern.base().to_text();
  switch (pattern.kind()) {
    case NamePattern::Kind::kExact: return base;
    case NamePattern::Kind::kGlob:
      return fmt::format("{}*{}.{}", pattern.before_star(), pattern.behind_star(), base);
    case NamePattern::Kind::kBelow: return fmt::format("*.{}", base);
    case NamePattern::Kind::kWithin: return fmt::format(".{}", base);
    case NamePattern::Kind::kAny: return "*";
  }
  unreachable("kind outside its enum");
}

}  // namespace sluice::policy
