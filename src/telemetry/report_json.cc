// The report as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "telemetry/report.h"
#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

using Json = nlohmann::ordered_json;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::string Report::json(std::span<const Counter> drops) const {
  const auto put_sums = [](Json& object, const Sums& sums) {
    object["flows"] = sums.flows;
    object["bytes_to_host"] = sums.bytes_to_host;
    object["bytes_to_guest"] = sums.bytes_to_guest;
    object["duration_s"] = seconds(sums.duration);
    object["duration_s_max"] = seconds(sums.duration_max);
  };

  Json flows = Json::array();
  for (const auto* row : sorted()) {
    const Key& key = row->first;
    fmt::memory_buffer name;
    append_name(name, key.name);
    Json object;
    object["name"] = key.name.empty() ? Json() : Json(fmt::to_string(name));
    object["address"] = wire::to_string(key.endpoint.address);
    object["port"] = key.endpoint.port.value;
    object["protocol"] = policy::to_string(key.protocol);
    object["direction"] = to_string(key.direction);
    object["verdict"] = policy::to_string(key.verdict);
    object["result"] = result_of(key);
    put_sums(object, row->second);
    flows.push_back(std::move(object));
  }

  Json root;
  root["flows"] = std::move(flows);
  root["others"] = nullptr;
  if (others_.flows != 0) put_sums(root["others"], others_);
  put_sums(root["total"], total_);
  root["drops"] = Json::object();
  for (const Counter& drop : drops) root["drops"][std::string(drop.name)] = drop.value;
  return root.dump(2) + "\n";
}

}  // namespace sluice::telemetry
