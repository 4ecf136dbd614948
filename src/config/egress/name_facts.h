// What two libraries know of names: libidn2 the A-labels of other alphabets (RFC 5891, UTS 46
// without its transitional forms), libpsl the public suffixes (publicsuffix.org). They are loaded
// when a policy needs them, as they and what they need take longer to load than all else that
// `sluice run` needs.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

namespace sluice::config {

// The error completes "… is not a target; expected …".
[[nodiscard]] std::expected<std::string, std::string> to_a_labels(const std::string& name);

enum class Registrations : std::uint8_t {
  kNone,     // Whoever has the name has all below it.
  kPublic,   // Anybody registers names below it, as below co.uk.
  kShared,   // Anybody may be given one there by who has it, as below github.io.
  kUnknown,  // libpsl is missing.
};
// `name` in A-labels and lower case, without a final dot.
[[nodiscard]] Registrations registrations_below(const std::string& name);

// What somebody has registered to which `name` belongs: "example.co.uk" of "www.example.co.uk".
// Empty where anybody can have a name there, and where libpsl is missing. Below the names that
// registrations_below() calls shared it is what one customer has. Loads the library the first time;
// later calls need no file.
[[nodiscard]] std::string registrable_domain(const std::string& name);

}  // namespace sluice::config
