#include "app/ctl/ctl.h"

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "app/ctl/answer_members.h"
#include "app/ctl/ctl_answers.h"
#include "app/ctl/ctl_options.h"
#include "app/ctl/ctl_reload.h"
#include "app/ctl/ctl_tables.h"
#include "app/ctl/run_client.h"
#include "app/options/command.h"
#include "control/connection.h"
#include "control/request.h"
#include "control/run_address.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

using control::Connection;
using control::Verb;
using Json = nlohmann::json;

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
[[nodiscard]] std::optional<std::string> status_of(uid_t user, const std::string& name) {
  auto run = Connection::open_of(user, name);
  if (!run) return std::nullopt;
  // Another user may let root wait.
  if (!run->is_own()) run->set_patience(std::chrono::seconds(1));
  const auto status = ask(*run, request_line(Verb::kStatus));
  if (!status || !status->ok()) return std::nullopt;
  return status->last;
}

[[nodiscard]] int list(bool json) {
  std::vector<std::string> lines;
  for (const control::UserRun& one : control::list_user_runs()) {
    if (::getuid() != 0 && one.uid != ::getuid()) continue;
    if (const auto line = status_of(one.uid, one.run)) lines.push_back(*line);
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

[[nodiscard]] int answer_of(const std::expected<Asked, std::string>& asked, bool json) {
  if (!asked) return refused(asked.error());
  if (json) std::puts(asked->last.c_str());
  if (asked->ok()) return printed() ? 0 : 1;
  return refused(message_of(*asked));
}

// A list that comes in pages.
struct Listed {
  Verb verb;
  std::vector<std::string> (*head)();
  std::vector<std::string> (*row)(std::string_view line);
  TableFit fit{};
};

[[nodiscard]] int show_list(Connection& run, const Listed& listed, bool json) {
  Table table(listed.head());
  const OnItem on_item = [&](std::string_view line) {
    if (json) {
      std::fwrite(line.data(), 1, line.size(), stdout);
      std::fputc('\n', stdout);
    } else if (auto row = listed.row(line); !row.empty()) {
      table.add(std::move(row));
    }
  };
  const auto asked = ask_pages(run, listed.verb, on_item);
  if (!asked || !asked->ok()) return answer_of(asked, false);
  TableFit fit = listed.fit;
  fit.width = terminal_width();
  if (!json) std::fputs(table.text(fit).c_str(), stdout);
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
  std::string limits;
  const auto asked = ask(run, request_line(Verb::kStatus), [&](std::string_view line) {
    limits += json ? std::string(line) + "\n" : limit_line(line);
  });
  if (asked && asked->ok()) {
    if (!json) std::fputs(status_lines(asked->last).c_str(), stdout);
    std::fputs(limits.c_str(), stdout);
  }
  return answer_of(asked, json);
}

[[nodiscard]] int read_again(Connection& run, bool json) {
  const auto reloaded = reload(run);
  if (!reloaded) return refused(reloaded.error());
  for (const std::string& warning : reloaded->warnings) telemetry::log_warn("{}", warning);
  if (!json && !reloaded->answer.ok()) {
    // A line for each mistake.
    const auto message = reloaded->answer.answer.find("message");
    const bool told = message != reloaded->answer.answer.end() && message->is_string();
    std::istringstream lines(told ? message->get<std::string>() : "");
    for (std::string line; std::getline(lines, line);) telemetry::log_error("{}", shown(line));
    return 1;
  }
  if (!json && reloaded->answer.ok()) {
    const Json& answer = reloaded->answer.answer;
    if (reloaded->line.empty()) {
      fmt::print("generation {}: {} rules, {} new listeners, {} closed\n",
                 answer.value("generation", 0U), answer.value("rules", 0U),
                 answer.value("listeners_opened", 0U), answer.value("listeners_closed", 0U));
      return answer_of(reloaded->answer, json);
    }
    fmt::print("generation {}: {}; {} flows ended\n", answer.value("generation", 0U),
               reloaded->line, answer.value("flows_ended", 0U));
  }
  return answer_of(reloaded->answer, json);
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

// A port that was free for the picking is told.
[[nodiscard]] int publish(Connection& run, const CtlOptions& options) {
  const auto asked = ask(run, request_line(Verb::kPublish, [&](telemetry::JsonLine& line) {
                           line.text("port", options.what);
                         }));
  if (asked && asked->ok() && !options.json) {
    const std::string port = text_of(asked->answer, "port");
    if (!port.empty() && port != options.what) fmt::print("{}\n", port);
  }
  return answer_of(asked, options.json);
}

[[nodiscard]] int carry_out(Connection& run, const CtlOptions& options) {
  if (options.verb == Verb::kStatus) return show_status(run, options.json);
  for (const Listed& listed :
       {Listed{Verb::kFlows, flow_head, flow_row, {.drop = "ADDRESS", .cut = "WITH"}},
        Listed{Verb::kRules, rule_head, rule_row, {.cut = "TARGET"}},
        Listed{Verb::kRefused, refused_head, refused_row, {.cut = "NAME"}}}) {
    if (options.verb == listed.verb) return show_list(run, listed, options.json);
  }
  if (options.verb == Verb::kPublished) return show_published(run, options.json);
  if (options.verb == Verb::kPublish) return publish(run, options);
  if (options.verb == Verb::kSubscribe) return subscribe(run);
  if (options.verb == Verb::kPending) return show_pending(run, options.json);
  if (options.given) return give_answer(run, *options.given, options.json);
  if (options.verb == Verb::kReload) return read_again(run, options.json);
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
  if (options->answers) return answer_questions(options->run);
  auto run = connect_to_run(options->run);
  if (!run) return refused(run.error());
  return carry_out(*run, *options);
}

}  // namespace sluice::app
