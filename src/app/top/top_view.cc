#include "app/top/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "telemetry/text.h"

namespace sluice::app {
namespace {

struct Column {
  std::string_view title;
  std::size_t width;
  bool right;
  std::size_t from;  // The width of the screen above which it is shown.
};

// Behind the name, which has what is left.
constexpr std::array kColumns{
    Column{"FLOWS", 5, true, 34}, Column{"IN/s", 10, true, 0}, Column{"OUT/s", 10, true, 46},
    Column{"IN", 10, true, 72},   Column{"OUT", 10, true, 84}, Column{"PATH", 6, false, 60},
    Column{"RTT", 8, true, 104},  Column{"AGE", 8, true, 94},  Column{"PROCESS", 16, false, 122},
};
using Cells = std::array<std::string, kColumns.size()>;

[[nodiscard]] std::string bytes_text(double rate) {
  return telemetry::human_bytes(static_cast<std::uint64_t>(std::llround(std::max(rate, 0.0))));
}

// Of a row: most do nothing most of the time.
[[nodiscard]] std::string rate_text(double rate) { return rate < 1 ? "-" : bytes_text(rate); }

[[nodiscard]] std::string age_text(double seconds) {
  const double most = std::clamp(seconds, 0.0, 1e9);
  if (most >= 60) {
    const auto whole = static_cast<std::uint64_t>(most);
    constexpr std::uint64_t kMinute = 60;
    constexpr std::uint64_t kHour = 3600;
    if (whole >= kHour) return fmt::format("{}h{:02}m", whole / kHour, whole % kHour / kMinute);
    return fmt::format("{}m{:02}s", whole / kMinute, whole % kMinute);
  }
  return fmt::format("{:.0f} s", most);
}

[[nodiscard]] std::string rtt_text(double seconds) {
  if (seconds <= 0) return "-";
  const double millis = std::min(seconds * 1000, 99'999.0);
  return millis < 10 ? fmt::format("{:.2f} ms", millis) : fmt::format("{:.0f} ms", millis);
}

// Cut in its middle, as both ends of a name say something.
[[nodiscard]] std::string fitted(const std::string& text, std::size_t width) {
  if (text.size() <= width) return fmt::format("{:<{}}", text, width);
  if (width < 5) return text.substr(0, width);
  const std::size_t front = (width - 2) / 2;
  return text.substr(0, front) + ".." + text.substr(text.size() - (width - 2 - front));
}

[[nodiscard]] Cells cells_of(const TopGroup& group) {
  const std::size_t flows = group.flows.size();
  std::string process = group.flows.front().process;
  for (const TopFlow& flow : group.flows) {
    if (flow.process != process) process = "several";
  }
  return {fmt::to_string(flows),
          rate_text(group.to_guest_rate),
          rate_text(group.to_host_rate),
          telemetry::human_bytes(group.to_guest),
          telemetry::human_bytes(group.to_host),
          group.path,
          rtt_text(group.rtt),
          age_text(group.seconds),
          process.empty() ? "-" : process};
}

[[nodiscard]] Cells cells_of(const TopFlow& flow) {
  return {"",
          rate_text(flow.to_guest_rate),
          rate_text(flow.to_host_rate),
          telemetry::human_bytes(flow.to_guest),
          telemetry::human_bytes(flow.to_host),
          flow.path,
          rtt_text(flow.rtt),
          age_text(flow.seconds),
          flow.process.empty() ? "-" : flow.process};
}

class Table {
 public:
  explicit Table(std::size_t width) : width_(width), name_(width) {
    for (const Column& column : kColumns) {
      if (is_shown(column)) name_ -= std::min(name_, column.width + before(column));
    }
  }

  [[nodiscard]] std::string line(const std::string& name, const Cells& cells) const {
    std::string text = fitted(name, name_);
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      const Column& column = kColumns[i];
      if (!is_shown(column)) continue;
      const std::string cell = cells[i].substr(0, column.width);
      text.append(before(column), ' ');
      text += column.right ? fmt::format("{:>{}}", cell, column.width)
                           : fmt::format("{:<{}}", cell, column.width);
    }
    return text.substr(0, width_);
  }

 private:
  [[nodiscard]] bool is_shown(const Column& column) const { return width_ >= column.from; }
  // Spaces: two before what stands left, as what is before it stands right.
  [[nodiscard]] static std::size_t before(const Column& column) { return column.right ? 1 : 2; }

  std::size_t width_;
  std::size_t name_;
};

[[nodiscard]] Cells titles() {
  Cells cells;
  for (std::size_t i = 0; i < kColumns.size(); ++i) cells[i] = kColumns[i].title;
  return cells;
}

[[nodiscard]] std::string head_line(const TopHead& head, const std::vector<TopGroup>& groups,
                                    const TopState& state, std::size_t width) {
  std::size_t flows = 0;
  double in = 0;
  double out = 0;
  for (const TopGroup& group : groups) {
    flows += group.flows.size();
    in += group.to_guest_rate;
    out += group.to_host_rate;
  }
  std::string text = fmt::format("{} {}", head.program, head.run);
  // Each part whole, or not at all.
  const auto add = [&](const std::string& part) {
    if (text.size() + 2 + part.size() <= width) text += "  " + part;
  };
  // First what changes how the rest is to be read.
  if (state.paused) add("PAUSED");
  if (!state.filter.empty()) add("filter: " + state.filter);
  add("up " + age_text(head.uptime_s));
  add(fmt::format("{} flow{}", flows, flows == 1 ? "" : "s"));
  add(fmt::format("in {}/s", bytes_text(in)));
  add(fmt::format("out {}/s", bytes_text(out)));
  if (!head.fallback.empty()) {
    add("default " + head.fallback);
    add(fmt::format("{} rule{}", head.rules, head.rules == 1 ? "" : "s"));
    add(fmt::format("generation {}", head.generation));
  }
  return text.substr(0, width);
}

[[nodiscard]] std::string last_line(const TopState& state) {
  if (!state.prompt.empty()) return state.prompt;
  if (!state.message.empty()) return state.message;
  return fmt::format("q quit  s sort ({})  p pause  / filter  enter open  k kill",
                     to_string(state.sort));
}

[[nodiscard]] std::string name_of(const TopRow& row, const TopState& state) {
  if (row.flow != nullptr) return "    " + row.flow->target();
  const bool open = state.open.contains(row.group->title);
  return (open ? "- " : "+ ") + row.group->title;
}

}  // namespace

std::vector<TopRow> top_rows(const std::vector<TopGroup>& groups, const TopState& state) {
  std::vector<TopRow> rows;
  for (const TopGroup& group : groups) {
    rows.push_back({&group, nullptr});
    if (!state.open.contains(group.title)) continue;
    for (const TopFlow& flow : group.flows) rows.push_back({&group, &flow});
  }
  return rows;
}

std::string top_screen(const TopHead& head, const std::vector<TopGroup>& groups,
                       const TopState& state, const TopSize& size) {
  const bool on_screen = size.lines > 0;
  const bool painted = size.color != telemetry::Color::kOff;
  const auto paint = [painted](std::string_view code, const std::string& text) {
    return painted ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  };
  const Table table(size.columns);
  const std::vector<TopRow> rows = top_rows(groups, state);
  constexpr std::size_t kAround = 3;  // Head, titles and keys.
  const std::size_t room = on_screen ? size.lines - std::min(size.lines, kAround) : rows.size();
  // The selected row is always seen.
  const std::size_t selected = std::min(state.selected, rows.empty() ? 0 : rows.size() - 1);
  const std::size_t first = selected < room ? 0 : selected - room + 1;
  std::string text = paint("1", head_line(head, groups, state, size.columns)) + "\n" +
                     paint("7", table.line("NAME", titles())) + "\n";
  for (std::size_t i = first; i < std::min(rows.size(), first + room); ++i) {
    const TopRow& row = rows[i];
    const std::string name =
        on_screen || row.flow != nullptr ? name_of(row, state) : row.group->title;
    std::string line =
        table.line(name, row.flow != nullptr ? cells_of(*row.flow) : cells_of(*row.group));
    // Without colours the mark of the selected row is a letter of its own.
    if (on_screen && i == selected && !painted && !line.empty()) line[0] = '>';
    text += (on_screen && i == selected ? paint("7", line)
             : row.flow != nullptr      ? paint("2", line)
                                        : line) +
            "\n";
  }
  if (rows.empty() && on_screen) text += "(no flows)\n";
  if (on_screen) text += paint("2", last_line(state).substr(0, size.columns)) + "\n";
  return text;
}

}  // namespace sluice::app
