// What a rule does with what it speaks of, and which rule did it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/unreachable.h"

namespace sluice::policy {

// Of rules that are equally specific, the greater effect wins.
enum class Effect : std::uint8_t { kAllow, kAsk, kDeny };

[[nodiscard]] inline std::string_view to_string(Effect effect) {
  switch (effect) {
    case Effect::kAllow: return "allow";
    case Effect::kAsk: return "ask";
    case Effect::kDeny: return "deny";
  }
  unreachable("effect outside its enum");
}

// A place in the list of a policy's rules, or one of the two that a policy has without a list.
struct RuleId {
  static constexpr std::uint32_t kDefault = 0xffff'ffff;  // No rule spoke; the default decided.
  static constexpr std::uint32_t kBuiltIn = 0xffff'fffe;  // A denial that every policy begins with.
  std::uint32_t value = kDefault;
  friend constexpr bool operator==(const RuleId&, const RuleId&) = default;
};

struct Ruled {
  Effect effect = Effect::kDeny;
  RuleId rule{};
  friend constexpr bool operator==(const Ruled&, const Ruled&) = default;
};

}  // namespace sluice::policy
