// Which names a rule speaks of.
//
//   example.com         this name
//   *.example.com       every name below it, at any depth, and not the name itself
//   .example.com        the name and every one below it
//   api-*.example.com   one label for the star, or the end or the beginning of one
//   *                   every name
//
// Of patterns that match a name, the more specific is the one further up in this order: the name
// itself; a star within a label, the more letters around it the better; the longer suffix; *.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "policy/rule.h"
#include "wire/messages/domain_name.h"

namespace sluice::policy {

class NamePattern {
 public:
  enum class Kind : std::uint8_t { kExact, kGlob, kBelow, kWithin, kAny };

  // Letters, digits, hyphens and underscores only: other alphabets come as A-labels (RFC 5890). One
  // final dot is cut.
  [[nodiscard]] static std::expected<NamePattern, RuleError> parse(std::string_view text);

  [[nodiscard]] Kind kind() const { return kind_; }
  // The name, or what stands behind the star's label, or behind the first dot; of kAny the root.
  [[nodiscard]] const wire::DomainName& base() const { return base_; }
  // Of a kGlob, in lower case, what is before the star and behind it in its label. Not both empty.
  [[nodiscard]] std::string_view before_star() const { return before_star_; }
  [[nodiscard]] std::string_view behind_star() const { return behind_star_; }

  [[nodiscard]] bool matches(const wire::DomainName& name) const;

  friend bool operator==(const NamePattern&, const NamePattern&) = default;

 private:
  Kind kind_ = Kind::kAny;
  wire::DomainName base_{};
  std::string before_star_;
  std::string behind_star_;
};

// The text that parses to it, in lower case and without a final dot.
[[nodiscard]] std::string to_string(const NamePattern& pattern);

}  // namespace sluice::policy
