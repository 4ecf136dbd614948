// The name that a flow goes by, where that is known, and the rule that let it begin or refused it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/unreachable.h"
#include "dns/names/pins.h"
#include "policy/effect.h"
#include "policy/verdict.h"

namespace sluice::flow {

// How a flow's name was found out.
enum class NameSource : std::uint8_t {
  kNone,
  kDns,         // The guest learnt the address by this name, and by no other.
  kServerName,  // TLS asked for it.
  kHost,        // HTTP asked for it.
  kSynthetic,   // The address stands for this name; where it leads is to be found out.
};

[[nodiscard]] constexpr std::string_view to_string(NameSource source) {
  switch (source) {
    case NameSource::kNone: return "none";
    case NameSource::kDns: return "dns";
    case NameSource::kServerName: return "sni";
    case NameSource::kHost: return "host";
    case NameSource::kSynthetic: return "synthetic";
  }
  unreachable("source of a name outside its enum");
}

struct NamedBy {
  dns::NameId name{};
  policy::RuleId rule{};
  NameSource source = NameSource::kNone;
  bool approved = false;  // The rule asks, and somebody let this flow through.
  // Where all is let through and only noted: why it would have been refused.
  policy::Verdict would_refuse = policy::Verdict::kAccepted;
  friend bool operator==(const NamedBy&, const NamedBy&) = default;
};

}  // namespace sluice::flow
