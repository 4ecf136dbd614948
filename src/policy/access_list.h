// Who may connect: allow and deny patterns on the client's address.
//
//   192.0.2.7  2001:db8::7        one address
//   10.0.0.0/8  2001:db8::/32     a prefix
//   192.168.1.*  192.168.2.1?  2001:618:*:e43f   wildcards on the address's text: '*' is any run of
//                                 characters, '?' is one. The text is the canonical one (RFC 5952).
//
// Order, as rinetd's: global allow (if there are any, one must match), global deny, the rule's
// allow (likewise), the rule's deny. An IPv4 client of a dual-stack listener is an IPv4 address.
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
  // `expected` completes the sentence "'TEXT' is not an address pattern; expected …".
  struct Error {
    std::string expected;
  };
  [[nodiscard]] static std::expected<AddressPattern, Error> parse(std::string_view text);

  // `text` is the address's canonical text, made once for all patterns of a decision.
  [[nodiscard]] bool matches(const wire::IpAddress& address, std::string_view text) const;
  [[nodiscard]] const std::string& text() const { return text_; }  // As it was written.
  friend bool operator==(const AddressPattern&, const AddressPattern&) = default;

 private:
  std::string text_;
  std::variant<wire::Prefix, std::string> what_;  // A prefix, or a wildcard.
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
