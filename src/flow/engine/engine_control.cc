// What people change while the guest runs: its policy, and single flows; and what they see of it.
#include "flow/core/flow_walk.h"
#include "flow/engine/engine.h"

namespace sluice::flow {
namespace {

// Tables of flows, in the order in which they are walked.
enum Table : std::uint32_t { kTcpTable, kUdpTable, kPingTable, kTables };

struct Tables {
  const TcpFlows& tcp;
  const UdpFlows& udp;
  const PingFlows& ping;
};

// Over all of them, as flow_walk.h has it for one.
template <typename Visit>
[[nodiscard]] std::optional<std::uint64_t> walk(const Tables& tables, std::uint64_t from,
                                                const Visit& visit) {
  auto index = static_cast<std::uint32_t>(from);
  for (std::uint64_t table = from >> 32; table < kTables; ++table, index = 0) {
    const std::uint32_t stopped = table == kTcpTable   ? tables.tcp.walk(index, visit)
                                  : table == kUdpTable ? tables.udp.walk(index, visit)
                                                       : tables.ping.walk(index, visit);
    if (stopped != kWalkEnd) return (table << 32) | stopped;
  }
  return std::nullopt;
}

// Nothing was pinned while no rule spoke of names; but what is denied from here on is known by what
// was answered before.
void note_names(const dns::DnsNames& names, dns::NameBook& book, Instant now) {
  names.visit_all([&](const wire::IpAddress& address, std::string_view text) {
    if (const auto name = wire::DomainName::from_text(text)) book.note(*name, address, now);
  });
}

}  // namespace

[[gnu::cold]] void Engine::set_policy(const policy::EgressPolicy& policy, Turn turn) {
  const bool first_names = policy.names_decide() && !judge_.decides();
  use_policy(policy);
  if (first_names) note_names(names_, book_, turn.now);
  tcp_.judge_again(turn);
  udp_.judge_again(turn);
  ping_.judge_again(turn);
}

void Engine::tell_sight(bool wanted) {
  sight_ = {.wanted = wanted};
  dns_.set_watch(wanted ? &query_sight_ : nullptr);
  tcp_.set_sight(wanted ? &sight_ : nullptr);
}

std::optional<std::uint64_t> Engine::list_flows(std::uint64_t from, std::size_t max, Instant now,
                                                std::vector<FlowSummary>& out) const {
  const std::size_t until = out.size() + max;
  return walk({tcp_, udp_, ping_}, from, [&](const auto& flow) {
    if (out.size() == until) return false;
    out.push_back(ended_flow(flow, policy::Outcome::kOpen, now));
    if constexpr (requires { flow.state; }) {
      out.back().carried = !flow.by_loopback && std::holds_alternative<HandedOver>(flow.state);
    }
    return true;
  });
}

[[gnu::cold]] bool Engine::cut_off(std::uint64_t number, policy::Verdict why, Turn turn) {
  const auto place = walk({tcp_, udp_, ping_}, 0, [&](const auto& flow) {
    return flow_number(flow.key, flow.opened) != number;
  });
  if (!place) return false;
  const auto index = static_cast<std::uint32_t>(*place);
  switch (*place >> 32) {
    case kTcpTable: tcp_.cut_off(index, why, turn); break;
    case kUdpTable: udp_.cut_off(index, why, turn); break;
    default: ping_.cut_off(index, why, turn); break;
  }
  return true;
}

}  // namespace sluice::flow
