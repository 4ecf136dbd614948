// What a worker has counted, at one moment: one value for all who ask, be it SIGUSR1 or the report
// at the end. To gather it is the worker's, to print it is this file's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/counters.h"
#include "telemetry/refused_names.h"
#include "telemetry/report.h"

namespace sluice::telemetry {

struct Snapshot {
  std::size_t flows = 0;             // That stand now.
  std::vector<Counter> drops{};      // All that can be dropped or refused, zeros included.
  std::vector<Counter> fast_path{};  // The same of what the guest's kernel carries.
  RefusedNames refused{};            // Names that were asked for.
  std::vector<LimitUse> limits{};    // That the policy sets; those of a group come with its first.
  const Report* report = nullptr;    // Flows that ended; borrowed. Null: none is kept.

  // What another worker of the same guest has counted; the report is for all of them already.
  void add(const Snapshot& other);
};

enum class ReportFormat : std::uint8_t { kNone, kText, kJson };

// What SIGUSR1 shows: whose `program` it is, its flows, and what is not zero. Ends its last line.
[[nodiscard]] std::string status_text(const Snapshot& snapshot, std::string_view program);

// What --report shows. Ends its last line; empty where no report is kept or none is wanted.
[[nodiscard]] std::string report_text(const Snapshot& snapshot, ReportFormat format, Color color);

}  // namespace sluice::telemetry
