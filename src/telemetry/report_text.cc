// The report as a table.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "telemetry/report.h"
#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

constexpr std::size_t kColumns = 9;
using Cells = std::array<std::string, kColumns>;

constexpr std::array<bool, kColumns> kToTheRight{false, false, true, false, true,
                                                 true,  true,  true, false};
constexpr std::size_t kResultColumn = kColumns - 1;

struct Paint {
  std::string_view dim;
  std::string_view bad;
  std::string_view off;
};

Paint paint_for(Color color) {
  if (color == Color::kOff) return {};
  return {.dim = "\x1b[2m", .bad = "\x1b[31m", .off = "\x1b[0m"};
}

std::string name_text(std::string_view name) {
  fmt::memory_buffer text;
  append_name(text, name);
  return name.empty() ? "-" : fmt::to_string(text);
}

// Cells without trailing spaces at the end of the line.
void append_line(std::string& out, const Cells& cells,
                 const std::array<std::size_t, kColumns>& widths, std::string_view before_result,
                 std::string_view after_result) {
  std::string line = "  ";
  for (std::size_t i = 0; i < kResultColumn; ++i) {
    if (kToTheRight[i]) {
      fmt::format_to(std::back_inserter(line), "{:>{}}  ", cells[i], widths[i]);
    } else {
      fmt::format_to(std::back_inserter(line), "{:<{}}  ", cells[i], widths[i]);
    }
  }
  line += before_result;
  line += cells[kResultColumn];
  line += after_result;
  line.erase(line.find_last_not_of(' ') + 1);
  out += line;
  out += '\n';
}

struct Line {
  Cells cells;
  bool is_bad = false;
};

void append_table(std::string& out, const std::vector<Line>& lines, const Paint& paint) {
  const Cells head{"NAME",    "ADDRESS",  "PORT",     "PROTO",  "FLOWS",
                   "TO HOST", "TO GUEST", "DURATION", "VERDICT"};
  std::array<std::size_t, kColumns> widths{};
  for (std::size_t i = 0; i < kColumns; ++i) {
    widths[i] = head[i].size();
    for (const Line& line : lines) widths[i] = std::max(widths[i], line.cells[i].size());
  }
  out += '\n';
  out += paint.dim;
  append_line(out, head, widths, "", paint.off);
  for (const Line& line : lines) {
    append_line(out, line.cells, widths, line.is_bad ? paint.bad : "",
                line.is_bad ? paint.off : "");
  }
}

std::string count_of(std::uint64_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

}  // namespace

std::string Report::text(std::span<const Counter> drops, Color color) const {
  const auto cells_of = [](std::string name, std::string address, std::string port,
                           std::string protocol, const Sums& sums, std::string_view result) {
    return Cells{std::move(name),
                 std::move(address),
                 std::move(port),
                 std::move(protocol),
                 fmt::to_string(sums.flows),
                 human_bytes(sums.bytes_to_host),
                 human_bytes(sums.bytes_to_guest),
                 human_duration(sums.duration),
                 std::string(result)};
  };
  const auto result_text = [](const Key& key) {
    std::string text(result_of(key));
    // The mend stands where the refusal is read.
    if (key.verdict == policy::Verdict::kHostAddress) {
      text += fmt::format("; --allow {} opens it", wire::to_string(key.endpoint.address));
    }
    return text;
  };
  std::vector<Line> lines;
  for (const auto* row : sorted()) {
    const Key& key = row->first;
    std::string protocol(policy::to_string(key.protocol));
    if (key.direction == FlowDirection::kInbound) protocol += " in";
    const std::string port =
        key.protocol == policy::Protocol::kIcmp ? "-" : fmt::to_string(key.endpoint.port.value);
    const bool is_bad =
        key.verdict != policy::Verdict::kAccepted || !policy::was_established(key.failure);
    lines.push_back({cells_of(name_text(key.name), wire::to_string(key.endpoint.address), port,
                              std::move(protocol), row->second, result_text(key)),
                     is_bad});
  }
  if (others_.flows != 0) lines.push_back({cells_of("others", "-", "-", "-", others_, "-"), false});

  std::string out =
      fmt::format("sluice: {}, {} to the host, {} to the guest\n", count_of(total_.flows, "flow"),
                  human_bytes(total_.bytes_to_host), human_bytes(total_.bytes_to_guest));
  if (!lines.empty()) append_table(out, lines, paint_for(color));
  if (others_.flows != 0) {
    out += fmt::format("\n  The table holds {}; {} beyond that are summed as \"others\".\n",
                       count_of(rows_.size(), "row"), count_of(others_.flows, "flow"));
  }
  const std::string dropped = format_counters(drops);
  if (!dropped.empty()) out += "\n  Packets dropped or refused:\n" + dropped;
  return out;
}

}  // namespace sluice::telemetry
