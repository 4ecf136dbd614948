// Who may connect: allow and deny patterns on the client's address.
//
//   192.0.2.7  2001:db8::7        one address
//   10.0.0.0/8  2001:db8::/32     a prefix
//   192.168.1.*  192.168.2.1?  2001:618:*:e43f   wildcards on the address's text: '*' is any run of
//                                 characters, '?' is one. The text is the canonical one (RFC 5952).
//
// Order, as rinetd's: global allow (if there are any, one must match), global deny, the rule's
// allow (likewise), the rule's deny. An IPv4 client of a dual-stack listener is an IPv4 address,
// and a pattern that begins with "::ffff:" and goes on as an IPv4 one is an IPv4 pattern.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/address.h"

namespace sluice::policy {

class AddressPattern {
 public:
  static constexpr std::size_t kTextSizeMax = 128;

  // `expected` completes the sentence "'TEXT' is not an address pattern; expected …".
  struct Error {
    std::string expected;
  };
  [[nodiscard]] static std::expected<AddressPattern, Error> parse(std::string_view text);
  // Compares with the address's text even where `text` is no whole address, as rinetd does: "10.1"
  // matches nothing.
  [[nodiscard]] static AddressPattern wildcard(std::string_view text);

  // Whether matches() looks at the address's text.
  [[nodiscard]] bool is_wildcard() const { return std::holds_alternative<std::string>(what_); }
  // `text` is the address's canonical text, made once for all patterns of a decision; only
  // wildcards need it. Takes time in proportion to the pattern's length, whatever its stars.
  [[nodiscard]] bool matches(const wire::IpAddress& address, std::string_view text) const;
  [[nodiscard]] const std::string& text() const { return text_; }  // As it was written.
  friend bool operator==(const AddressPattern&, const AddressPattern&) = default;

 private:
  AddressPattern(std::string_view text, std::variant<wire::Prefix, std::string> what)
      : text_(text), what_(std::move(what)) {}

  std::string text_;
  std::variant<wire::Prefix, std::string> what_;  // A prefix, or a wildcard in lower case.
};

struct AccessList {
  std::vector<AddressPattern> allow;
  std::vector<AddressPattern> deny;
  [[nodiscard]] bool empty() const { return allow.empty() && deny.empty(); }
  friend bool operator==(const AccessList&, const AccessList&) = default;
};

enum class Access : std::uint8_t {
  kAllowed,
  kNotAllowed,  // There are allow patterns, and none matched.
  kDenied,      // A deny pattern matched.
};

[[nodiscard]] Access decide_access(const AccessList& global, const AccessList& own,
                                   const wire::IpAddress& client);

}  // namespace sluice::policy
