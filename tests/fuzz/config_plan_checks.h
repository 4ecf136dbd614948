// What holds of any configuration, however hostile its text: it is refused with a reason and a
// place, or it becomes a plan that can be described, compared and asked.
#pragma once

#include <string>

#include "config/forward_config.h"
#include "require.h"
#include "wire/address.h"

namespace sluice {

inline void require_sound(const std::expected<config::LoadedPlan, config::ConfigErrors>& loaded) {
  if (!loaded) {
    require(!loaded.error().empty(), "a refusal has a reason");
    for (const auto& message : loaded.error()) {
      require(!message.text.empty() && message.where.file == "f", "a reason has a text and a file");
    }
    return;
  }
  const forward::Plan& plan = loaded->plan;
  for (const forward::Rule& rule : plan.rules) {
    require(rule.same_as(rule), "a rule is the same as itself");
    require(!rule.name.empty() && rule.where.line != 0, "a rule has a name and a line");
    require(!rule.targets.empty(), "a rule has a target");
    require(rule.timeouts.connect > Duration::zero(), "a connect ends");
    require(rule.timeouts.udp_session > Duration::zero(), "a session of datagrams lasts");
    for (const forward::Target& target : rule.targets) {
      require(target.place.port_count == rule.listen.port_count, "ranges are of one length");
      require(target.place.is_unix() || target.place.port != 0, "a target has a port");
      require(target.place.port + target.place.port_count <= 65'536, "a range ends at a port");
    }
    for (const char* client : {"10.0.0.1", "2001:db8::1"}) {
      static_cast<void>(policy::decide_access(plan.access, rule.access,
                                              wire::parse_ip(client).value_or(wire::IpAddress())));
    }
  }
  require(!config::describe_plan(plan).empty(), "a plan has a description");
  require(!config::describe_plan_json(plan).empty(), "and one for programs");
}

}  // namespace sluice
