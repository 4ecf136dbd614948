#include "telemetry/snapshot.h"

#include <fmt/core.h>

namespace sluice::telemetry {
namespace {

// Of two that count the same, in the same order; one of them may have none.
void add_all(std::vector<Counter>& to, const std::vector<Counter>& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    to[i].name = from[i].name;
    to[i].value += from[i].value;
  }
}

}  // namespace

void Snapshot::add(const Snapshot& other) {
  flows += other.flows;
  add_all(drops, other.drops);
  add_all(fast_path, other.fast_path);
  refused.add(other.refused);
}

std::string status_text(const Snapshot& snapshot, std::string_view program) {
  const std::string drops = format_counters(snapshot.drops);
  std::string text = fmt::format("{}: {} flows; dropped or refused:\n{}", program, snapshot.flows,
                                 drops.empty() ? "  nothing\n" : drops);
  const std::string carried = format_counters(snapshot.fast_path);
  if (!carried.empty()) text += fmt::format("fast path:\n{}", carried);
  return text;
}

std::string report_text(const Snapshot& snapshot, ReportFormat format, Color color) {
  if (snapshot.report == nullptr || format == ReportFormat::kNone) return {};
  std::string text = format == ReportFormat::kJson ? snapshot.report->json(snapshot.drops)
                                                   : snapshot.report->text(snapshot.drops, color);
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

}  // namespace sluice::telemetry
