#include "app/ctl/ctl_tables.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "app/ctl/answer_members.h"
#include "telemetry/text.h"

namespace sluice::app {
namespace {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json parse(std::string_view line) { return Json::parse(line, nullptr, false); }

constexpr std::size_t kBetween = 2;  // Spaces, of two columns.
constexpr std::size_t kCutMin = 12;

[[nodiscard]] bool stands_right(std::string_view title) {
  constexpr std::array<std::string_view, 7> kCounted{"TO HOST", "TO GUEST", "AGE",  "DECIDED",
                                                     "TIMES",   "TRIES",    "FLOWS"};
  return std::ranges::find(kCounted, title) != kCounted.end();
}

[[nodiscard]] std::string end_of(const std::string& text, std::size_t width) {
  if (text.size() <= width) return text;
  const std::size_t mark = std::min<std::size_t>(width, 2);
  return std::string(mark, '.') + text.substr(text.size() - (width - mark));
}

}  // namespace

std::string shown(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

std::size_t terminal_width() {
  winsize size{};
  const bool known = ::isatty(STDOUT_FILENO) != 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return known ? size.ws_col : 0;
}

std::vector<std::optional<std::size_t>> Table::widths(const TableFit& fit) const {
  const std::vector<std::string>& titles = rows_.front();
  std::vector<std::optional<std::size_t>> widths(titles.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(*widths[i], row[i].size());
  }
  const auto too_wide = [&] {
    std::size_t all = 0;
    for (const auto& width : widths) all += width ? *width + kBetween : 0;
    return fit.width > 0 && all > fit.width + kBetween ? all - fit.width - kBetween : 0;
  };
  for (std::size_t i = 0; i < titles.size(); ++i) {
    if (titles[i] == fit.drop && too_wide() > 0) widths[i].reset();
  }
  for (std::size_t i = 0; i < titles.size(); ++i) {
    if (titles[i] != fit.cut || !widths[i]) continue;
    const std::size_t most = *widths[i] - std::min(*widths[i], too_wide());
    widths[i] = std::min(*widths[i], std::max(most, kCutMin));
  }
  return widths;
}

std::string Table::text(const TableFit& fit) const {
  const auto all = widths(fit);
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!all[i]) continue;
      const std::string cell = end_of(row[i], *all[i]);
      line += stands_right(rows_.front()[i]) ? fmt::format("{:>{}}", cell, *all[i])
                                             : fmt::format("{:<{}}", cell, *all[i]);
      line.append(kBetween, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::vector<std::string> flow_head() {
  return {"FLOW", "WITH", "ADDRESS", "PATH", "TO HOST", "TO GUEST", "AGE"};
}

std::vector<std::string> flow_row(std::string_view line) {
  const Json flow = parse(line);
  if (!flow.is_object() || !flow.contains("flow")) return {};
  const std::string address = text_of(flow, "address");
  const std::string name = text_of(flow, "name");
  const std::uint64_t port = number_of(flow, "port");
  const std::string proto = text_of(flow, "proto");
  std::string with;
  std::string beside = name.empty() ? "-" : address;
  if (flow.contains("listen")) {
    // Of a forwarder: where it leads, and who came.
    const std::string target = text_of(flow, "target");
    with = fmt::format("{} > {}/{}", text_of(flow, "rule"), target.empty() ? "?" : target, proto);
    beside = host_and_port(address, port);
  } else if (text_of(flow, "direction") == "in") {
    // Of a client from outside: the port of the guest that it came to.
    with = fmt::format(":{}/{} < {}", number_of(flow, "guest_port"), proto,
                       host_and_port(address, port));
  } else {
    with = fmt::format("{}/{}", host_and_port(name.empty() ? address : name, port), proto);
  }
  return {text_of(flow, "flow"),
          with,
          beside,
          text_of(flow, "path"),
          telemetry::human_bytes(number_of(flow, "bytes_to_host")),
          telemetry::human_bytes(number_of(flow, "bytes_to_guest")),
          telemetry::human_duration(seconds_of(flow, "duration_s"))};
}

std::vector<std::string> rule_head() { return {"EFFECT", "TARGET", "DECIDED", "RULE", "NOTE"}; }

std::vector<std::string> rule_row(std::string_view line) {
  const Json rule = parse(line);
  if (!rule.is_object() || !rule.contains("target")) return {};
  const std::uint64_t hits = number_of(rule, "hits");
  return {text_of(rule, "effect"), text_of(rule, "target"),
          hits == 0 ? "never" : fmt::to_string(hits), text_of(rule, "rule"), text_of(rule, "note")};
}

std::vector<std::string> refused_head() { return {"NAME", "TIMES", "REASON"}; }

std::vector<std::string> refused_row(std::string_view line) {
  const Json row = parse(line);
  if (!row.is_object() || !row.contains("reason")) return {};
  return {text_of(row, "name"), fmt::to_string(number_of(row, "count")), text_of(row, "reason")};
}

std::vector<std::string> run_head() { return {"RUN", "PID", "PROGRAM", "FLOWS", "UP"}; }

std::vector<std::string> run_row(std::string_view line) {
  const Json run = parse(line);
  if (!run.is_object() || !run.contains("run")) return {};
  return {text_of(run, "run"), fmt::to_string(number_of(run, "pid")), text_of(run, "program"),
          fmt::to_string(number_of(run, "flows")),
          telemetry::human_duration(seconds_of(run, "uptime_s"))};
}

std::string status_lines(std::string_view line) {
  const Json status = parse(line);
  if (!status.is_object()) return "";
  constexpr int kWidth = 12;
  std::string text;
  for (const auto& [key, value] : status.items()) {
    if (key == "v" || key == "id" || key == "ok") continue;
    if (value.is_object()) {
      if (value.empty()) continue;
      text += fmt::format("{}\n", key);
      for (const auto& [name, count] : value.items()) {
        text += fmt::format("  {:>10}  {}\n", shown(count.dump()), shown(name));
      }
    } else if (key == "uptime_s") {
      text += fmt::format("{:<{}}{}\n", "up", kWidth,
                          telemetry::human_duration(seconds_of(status, "uptime_s")));
    } else {
      text += fmt::format("{:<{}}{}\n", shown(key), kWidth,
                          shown(value.is_string() ? value.get<std::string>() : value.dump()));
    }
  }
  return text;
}

std::string limit_line(std::string_view line) {
  const Json limit = parse(line);
  if (!limit.is_object() || !limit.contains("to_host_max")) return "";
  constexpr int kWidth = 12;
  const Json& rule = limit.value("rule", Json());
  std::string text =
      fmt::format("{:<{}}{}:", "limit", kWidth,
                  rule.is_string() ? shown(rule.get<std::string>()) : std::string("the run"));
  for (const auto& [used, words] :
       {std::pair("to_host", "bytes to hosts"), std::pair("from_host", "bytes from hosts"),
        std::pair("flows", "flows")}) {
    const Json& max = limit.value(fmt::format("{}_max", used), Json());
    text += fmt::format(" {}", shown(limit.value(used, Json()).dump()));
    if (max.is_number() && max != 0) text += fmt::format(" of {}", shown(max.dump()));
    text += fmt::format(" {},", words);
  }
  return text + fmt::format(" {} ended, {} refused\n", shown(limit.value("ended", Json()).dump()),
                            shown(limit.value("refused", Json()).dump()));
}

}  // namespace sluice::app
