#include "telemetry/metrics/totals.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

// Of two that count the same, in the same order; one of them may have none.
void add_all(std::vector<ResultCount>& to, const std::vector<ResultCount>& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    to[i].kind = from[i].kind;
    to[i].result = from[i].result;
    to[i].value += from[i].value;
  }
}

}  // namespace

void Totals::add(const Totals& other) {
  ended.add(other.ended);
  for (std::size_t i = 0; i < open.size(); ++i) {
    for (std::size_t j = 0; j < open[i].size(); ++j) open[i][j] += other.open[i][j];
  }
  bytes.add(other.bytes);
  carried.add(other.carried);
  relayed.add(other.relayed);
  add_all(dns, other.dns);
  dns_unanswered += other.dns_unanswered;
  dns_upstream.add(other.dns_upstream);
  add_all(gate, other.gate);
  handed_over += other.handed_over;
  hand_overs_failed += other.hand_overs_failed;
  pins = std::max(pins, other.pins);
}

}  // namespace sluice::telemetry
