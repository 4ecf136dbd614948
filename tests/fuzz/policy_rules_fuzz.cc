// Rules and published ports from any text: what parses must print and parse to the same, and a
// policy made of it must decide.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "policy/policy.h"
#include "policy/port_map.h"
#include "policy/rule.h"

namespace {

using namespace sluice;

void check(bool holds) {
  if (!holds) std::abort();
}

// The first and the last address of what the rule covers, and one port of each of its ranges.
void decide_around(const policy::Policy& made, const policy::Rule& rule) {
  std::vector<wire::Port> ports{wire::Port{0}, wire::Port{65'535}};
  for (const policy::PortRange& range : rule.ports) ports.push_back(wire::Port{range.last});
  for (const wire::Port port : ports) {
    for (const auto protocol : {policy::Protocol::kTcp, policy::Protocol::kIcmp}) {
      const auto decision = made.decide(protocol, {rule.prefix.address, port});
      if (decision.rule != nullptr) {
        check(decision.rule->rule.prefix.contains(rule.prefix.address));
        check(decision.rule->rule.prefix.length >= rule.prefix.length || rule.names_ports() ||
              rule.protocol);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<policy::Rule> deny;
  std::vector<policy::Rule> allow;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);

    if (const auto rule = policy::parse_rule(line)) {
      const auto again = policy::parse_rule(policy::to_string(*rule));
      check(again && *again == *rule);
      (line.size() % 2 == 0 ? deny : allow).push_back(*rule);
    }
    if (const auto map = policy::parse_port_map(line)) {
      const auto again = policy::parse_port_map(policy::to_string(*map));
      check(again && *again == *map);
      check(policy::collide(*map, *again));
    }
  }
  const policy::Policy made(deny, allow);
  for (const policy::Rule& rule : deny) decide_around(made, rule);
  for (const policy::Rule& rule : allow) decide_around(made, rule);
  return 0;
}
