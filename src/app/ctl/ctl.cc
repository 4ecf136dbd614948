#include "app/ctl/ctl.h"

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/ctl/ctl_options.h"
#include "app/ctl/ctl_tables.h"
#include "app/options/command.h"
#include "control/connection.h"
#include "control/request.h"
#include "control/run_address.h"
#include "telemetry/json_line.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

using control::Connection;
using control::Verb;
using Json = nlohmann::json;

struct Asked {
  std::string last;  // The answer's last line.
  Json answer;       // The same.
  [[nodiscard]] bool ok() const { return answer.value("ok", false); }
};
using OnItem = std::function<void(std::string_view)>;

template <typename Fill>
[[nodiscard]] std::string request_line(Verb verb, const Fill& fill) {
  fmt::memory_buffer line;
  telemetry::JsonLine members(line);
  members.text("do", to_string(verb));
  fill(members);
  members.end_line();
  return fmt::to_string(line);
}

[[nodiscard]] std::string request_line(Verb verb) {
  return request_line(verb, [](telemetry::JsonLine&) {});
}

// Sends a request and reads its answer; `on_item` gets the lines before the last.
[[nodiscard]] std::expected<Asked, std::string> ask(
    Connection& run, const std::string& line, const OnItem& on_item = [](std::string_view) {}) {
  if (!run.send(line)) return std::unexpected("the run has ended");
  while (true) {
    const auto answer = run.read_line();
    if (!answer) return std::unexpected(answer.error());
    Asked asked{std::string(*answer), Json::parse(*answer, nullptr, false)};
    if (!asked.answer.is_object()) return std::unexpected("the run speaks another language");
    if (asked.answer.contains("ok")) return asked;
    on_item(asked.last);
  }
}

[[nodiscard]] std::string text_in(const std::string& line, const char* member) {
  const Json object = Json::parse(line, nullptr, false);
  return object.is_object() ? shown(object.value(member, "")) : "";
}

[[nodiscard]] int refused(const std::string& why) {
  telemetry::log_error("{}", why);
  return 1;
}

// Whether what was printed reached whoever reads it.
[[nodiscard]] bool printed() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

// What a run says of itself; nothing of one that has ended meanwhile, or is not ours.
[[nodiscard]] std::optional<std::string> status_of(const std::string& name) {
  auto run = Connection::open(name);
  if (!run) return std::nullopt;
  const auto status = ask(*run, request_line(Verb::kStatus));
  if (!status || !status->ok()) return std::nullopt;
  return status->last;
}

[[nodiscard]] int list(bool json) {
  std::vector<std::string> lines;
  for (const std::string& name : control::list_runs(::getuid())) {
    if (const auto line = status_of(name)) lines.push_back(*line);
  }
  Table table(run_head());
  for (const std::string& line : lines) {
    if (auto row = run_row(line); !row.empty()) table.add(std::move(row));
    if (json) std::puts(line.c_str());
  }
  if (!json && table.rows() > 0) std::fputs(table.text().c_str(), stdout);
  if (!json && table.rows() == 0) telemetry::log_warn("nothing of yours runs");
  return printed() ? 0 : 1;
}

[[nodiscard]] std::expected<Connection, std::string> connect(const std::string& wanted) {
  if (!wanted.empty()) return Connection::open(wanted);
  std::string several;
  std::vector<Connection> open;
  for (const std::string& name : control::list_runs(::getuid())) {
    if (auto run = Connection::open(name)) {
      open.push_back(std::move(*run));
      several += fmt::format("{}{}", several.empty() ? "" : ", ", name);
    }
  }
  if (open.empty()) return std::unexpected("nothing of yours runs");
  if (open.size() > 1) return std::unexpected(fmt::format("which run? {}", several));
  return std::move(open.front());
}

[[nodiscard]] int answer_of(const std::expected<Asked, std::string>& asked, bool json) {
  if (!asked) return refused(asked.error());
  if (json) std::puts(asked->last.c_str());
  if (asked->ok()) return printed() ? 0 : 1;
  return refused(text_in(asked->last, "message"));
}

[[nodiscard]] int show_flows(Connection& run, bool json) {
  Table table(flow_head());
  const OnItem on_item = [&](std::string_view line) {
    if (json) {
      std::fwrite(line.data(), 1, line.size(), stdout);
      std::fputc('\n', stdout);
    } else if (auto row = flow_row(line); !row.empty()) {
      table.add(std::move(row));
    }
  };
  std::string from;
  do {
    const auto page = ask(run,
                          request_line(Verb::kFlows,
                                       [&](telemetry::JsonLine& line) {
                                         if (!from.empty()) line.text("from", from);
                                       }),
                          on_item);
    if (!page) return refused(page.error());
    if (!page->ok()) return answer_of(page, false);
    const Json& next = page->answer["next"];
    from = next.is_string() ? next.get<std::string>() : "";
  } while (!from.empty());
  if (!json) std::fputs(table.text().c_str(), stdout);
  return printed() ? 0 : 1;
}

[[nodiscard]] int show_published(Connection& run, bool json) {
  const OnItem on_item = [&](std::string_view line) {
    const std::string text(line);
    std::puts(json ? text.c_str() : text_in(text, "port").c_str());
  };
  const auto asked = ask(run, request_line(Verb::kPublished), on_item);
  if (asked && asked->ok() && !json) return printed() ? 0 : 1;
  return answer_of(asked, json);
}

[[nodiscard]] int show_status(Connection& run, bool json) {
  const auto asked = ask(run, request_line(Verb::kStatus));
  if (asked && asked->ok() && !json) std::fputs(status_lines(asked->last).c_str(), stdout);
  return answer_of(asked, json);
}

[[nodiscard]] int subscribe(Connection& run) {
  const auto asked = ask(run, request_line(Verb::kSubscribe));
  if (!asked || !asked->ok()) return answer_of(asked, false);
  run.set_patience(std::chrono::seconds(0));
  while (const auto line = run.read_line()) {
    std::fwrite(line->data(), 1, line->size(), stdout);
    std::fputc('\n', stdout);
    if (!printed()) return 1;
  }
  return 0;  // The run has ended.
}

[[nodiscard]] std::string_view member_of(Verb verb) {
  if (verb == Verb::kKill) return "flow";
  return verb == Verb::kAllow || verb == Verb::kDeny ? "rule" : "port";
}

[[nodiscard]] int carry_out(Connection& run, const CtlOptions& options) {
  if (options.verb == Verb::kStatus) return show_status(run, options.json);
  if (options.verb == Verb::kFlows) return show_flows(run, options.json);
  if (options.verb == Verb::kPublished) return show_published(run, options.json);
  if (options.verb == Verb::kSubscribe) return subscribe(run);
  return answer_of(ask(run, request_line(options.verb,
                                         [&](telemetry::JsonLine& line) {
                                           line.text(member_of(options.verb), options.what);
                                         })),
                   options.json);
}

}  // namespace

std::expected<int, EarlyExit> start_ctl(std::span<const char* const> arguments) {
  const auto options = parse_ctl_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kCtlCommand.program);
  if (options->list) return list(options->json);
  auto run = connect(options->run);
  if (!run) return refused(run.error());
  return carry_out(*run, *options);
}

}  // namespace sluice::app
