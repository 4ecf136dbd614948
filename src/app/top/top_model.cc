#include "app/top/top_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/ctl/answer_members.h"
#include "base/unreachable.h"

namespace sluice::app {
namespace {

using Json = nlohmann::json;

[[nodiscard]] std::uint16_t port_of(const Json& object, const char* key) {
  return static_cast<std::uint16_t>(std::min<std::uint64_t>(number_of(object, key), 0xffff));
}

[[nodiscard]] bool holds(const TopFlow& flow, std::string_view filter) {
  return filter.empty() || flow.target().find(filter) != std::string::npos ||
         flow.address.find(filter) != std::string::npos ||
         flow.process.find(filter) != std::string::npos;
}

// Whether `a` stands above `b`; what is equal stands by name.
[[nodiscard]] bool is_above(const TopGroup& a, const TopGroup& b, TopSort sort) {
  const auto above = [&](auto of_a, auto of_b) {
    return of_a != of_b ? of_a > of_b : a.title < b.title;
  };
  switch (sort) {
    case TopSort::kRate:
      return above(a.to_host_rate + a.to_guest_rate, b.to_host_rate + b.to_guest_rate);
    case TopSort::kTotal: return above(a.to_host + a.to_guest, b.to_host + b.to_guest);
    case TopSort::kFlows: return above(a.flows.size(), b.flows.size());
    case TopSort::kName: return a.title < b.title;
    case TopSort::kAge: return above(a.seconds, b.seconds);
  }
  unreachable("order outside its enum");
}

}  // namespace

std::string TopFlow::target() const {
  if (!forwarded_by.empty()) return fmt::format("{} < {}", led_to, host_and_port(address, port));
  if (inbound) return fmt::format(":{}/{} < {}", guest_port, proto, host_and_port(address, port));
  return fmt::format("{}/{}", host_and_port(name.empty() ? address : name, port), proto);
}

std::optional<TopFlow> read_top_flow(std::string_view line) {
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("flow")) return std::nullopt;
  return TopFlow{
      .number = text_of(object, "flow"),
      .proto = text_of(object, "proto"),
      .name = text_of(object, "name"),
      .address = text_of(object, "address"),
      .port = port_of(object, "port"),
      .guest = text_of(object, "guest"),
      .guest_port = port_of(object, "guest_port"),
      .inbound = text_of(object, "direction") == "in",
      .path = text_of(object, "path"),
      .to_host = number_of(object, "bytes_to_host"),
      .to_guest = number_of(object, "bytes_to_guest"),
      .seconds = fraction_of(object, "duration_s"),
      .rtt = fraction_of(object, "rtt_s"),
      .process = {},
      .forwarded_by = object.contains("listen") ? text_of(object, "rule") : std::string(),
      .led_to = object.contains("listen") ? text_of(object, "target") : std::string()};
}

std::string_view to_string(TopSort sort) {
  switch (sort) {
    case TopSort::kRate: return "rate";
    case TopSort::kTotal: return "total";
    case TopSort::kFlows: return "flows";
    case TopSort::kName: return "name";
    case TopSort::kAge: return "age";
  }
  unreachable("order outside its enum");
}

void TopModel::look(std::vector<TopFlow> flows, Instant now) {
  const double passed = looked_ ? std::chrono::duration<double>(now - *looked_).count() : 0.0;
  std::map<std::string, Before> seen;
  for (TopFlow& flow : flows) {
    const auto found = before_.find(flow.number);
    // A flow that is new has moved all that it has since the look before.
    const Before before = found != before_.end() ? found->second : Before{};
    const bool known = found != before_.end() || flow.seconds <= passed;
    if (known && passed > 0) {
      const auto rate = [&](std::uint64_t is, std::uint64_t was) {
        return static_cast<double>(is - std::min(is, was)) / passed;
      };
      flow.to_host_rate = rate(flow.to_host, before.to_host);
      flow.to_guest_rate = rate(flow.to_guest, before.to_guest);
    }
    seen.emplace(flow.number, Before{flow.to_host, flow.to_guest});
  }
  flows_ = std::move(flows);
  before_ = std::move(seen);
  looked_ = now;
}

std::string TopModel::title_of(const TopFlow& flow) const {
  if (!flow.forwarded_by.empty()) return flow.forwarded_by;
  if (flow.inbound) return fmt::format("< published :{}", flow.guest_port);
  if (flow.name.empty()) return flow.address;
  return domain_of_(flow.name).value_or(flow.name);
}

std::vector<TopGroup> TopModel::groups(TopSort sort, std::string_view filter) const {
  std::map<std::string, TopGroup> by_title;
  for (const TopFlow& flow : flows_) {
    if (!holds(flow, filter)) continue;
    std::string title = title_of(flow);
    TopGroup& group = by_title[title];
    group.title = std::move(title);
    group.to_host += flow.to_host;
    group.to_guest += flow.to_guest;
    group.to_host_rate += flow.to_host_rate;
    group.to_guest_rate += flow.to_guest_rate;
    group.seconds = std::max(group.seconds, flow.seconds);
    group.rtt = std::max(group.rtt, flow.rtt);
    if (group.path.empty()) group.path = flow.path;
    if (group.path != flow.path) group.path = "mixed";
    group.flows.push_back(flow);
  }
  std::vector<TopGroup> groups;
  for (auto& [title, group] : by_title) {
    std::ranges::sort(group.flows, [](const TopFlow& a, const TopFlow& b) {
      const double of_a = a.to_host_rate + a.to_guest_rate;
      const double of_b = b.to_host_rate + b.to_guest_rate;
      return of_a != of_b ? of_a > of_b : a.number < b.number;
    });
    groups.push_back(std::move(group));
  }
  std::ranges::sort(groups,
                    [sort](const TopGroup& a, const TopGroup& b) { return is_above(a, b, sort); });
  return groups;
}

}  // namespace sluice::app
