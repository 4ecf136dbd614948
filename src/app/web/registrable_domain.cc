#include "app/web/registrable_domain.h"

#include <cstddef>

#include "config/egress/name_facts.h"

namespace sluice::app {
namespace {

[[nodiscard]] bool anybody_registers_below(std::string_view name) {
  const config::Registrations below = config::registrations_below(std::string(name));
  return below == config::Registrations::kPublic || below == config::Registrations::kShared;
}

// Behind its first label; empty: it has but one.
[[nodiscard]] std::string_view parent_of(std::string_view name) {
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

}  // namespace

std::string registrable_domain(std::string_view name) {
  constexpr std::size_t kLengthMax = 253;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kLengthMax) return std::string(name);
  std::string_view of_two = name;
  for (std::string_view each = name; !each.empty(); each = parent_of(each)) {
    const std::string_view above = parent_of(each);
    if (above.empty()) break;
    if (anybody_registers_below(each)) return std::string(each);
    if (anybody_registers_below(above)) return std::string(each);
    of_two = each;
  }
  return std::string(of_two);
}

}  // namespace sluice::app
