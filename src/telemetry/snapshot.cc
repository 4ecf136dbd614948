#include "telemetry/snapshot.h"

#include <fmt/core.h>

namespace sluice::telemetry {

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
