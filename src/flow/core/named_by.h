// The name that a flow goes by, where that is known, and the rule that let it begin or refused it.
#pragma once

#include <cstdint>

#include "dns/names/pins.h"
#include "policy/effect.h"

namespace sluice::flow {

// How a flow's name was found out.
enum class NameSource : std::uint8_t {
  kNone,
  kDns,         // The guest learnt the address by this name, and by no other.
  kServerName,  // TLS asked for it.
  kHost,        // HTTP asked for it.
};

struct NamedBy {
  dns::NameId name{};
  policy::RuleId rule{};
  NameSource source = NameSource::kNone;
  friend bool operator==(const NamedBy&, const NamedBy&) = default;
};

}  // namespace sluice::flow
