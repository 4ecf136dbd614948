#include "telemetry/usage/usage.h"

#include <algorithm>

#include "policy/address_group.h"

namespace sluice::telemetry {
namespace {

bool has_failed(const FlowRecord& flow) {
  return flow.bytes_to_guest == 0 && (flow.outcome == policy::Outcome::kRefused ||
                                      flow.outcome == policy::Outcome::kUnreachable ||
                                      flow.outcome == policy::Outcome::kTimedOut);
}

std::string lower(std::string_view name) {
  std::string text(name);
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace

void Usage::add(const FlowRecord& flow) {
  if (flow.direction != FlowDirection::kOutbound || flow.opening) return;
  if (flow.verdict != policy::Verdict::kAccepted) return;
  const bool named = !flow.name.empty();
  Key key{.host = named ? lower(flow.name) : wire::to_string(flow.peer.address),
          .is_name = named,
          .port = flow.peer.port.value,
          .protocol = flow.protocol};
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    if (rows_.size() >= kRowsMax) {
      ++left_out_;
      return;
    }
    found = rows_.emplace(std::move(key), Row{}).first;
  }
  Row& row = found->second;
  ++row.flows;
  row.bytes_to_host += flow.bytes_to_host;
  row.bytes_to_guest += flow.bytes_to_guest;
  if (has_failed(flow)) ++row.failed;
  if (!named || policy::is_public(flow.peer.address)) return;
  auto& addresses = row.private_addresses;
  if (addresses.size() < kAddressesMax &&
      std::ranges::find(addresses, flow.peer.address) == addresses.end()) {
    addresses.push_back(flow.peer.address);
  }
}

}  // namespace sluice::telemetry
