#include "app/ctl/decisions_command.h"

#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <vector>

#include "app/ctl/ctl_tables.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"
#include "config/egress/decision_file.h"
#include "telemetry/json_line.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

[[nodiscard]] int refused(const std::string& why) {
  telemetry::log_error("{}", why);
  return 1;
}

[[nodiscard]] bool printed() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

void print_json(const std::vector<config::Decision>& decisions) {
  for (const config::Decision& decision : decisions) {
    fmt::memory_buffer buffer;
    telemetry::JsonLine line(buffer);
    line.text("rule", decision.rule);
    line.text("when", decision.when);
    line.text("by", decision.by);
    line.text("run", decision.run);
    line.text("note", decision.note);
    line.end_line();
    std::fwrite(buffer.data(), 1, buffer.size(), stdout);
  }
}

[[nodiscard]] int list(const config::DecisionFile& file, bool json) {
  const auto decisions = file.load();
  if (!decisions) return refused(decisions.error());
  if (json) {
    print_json(*decisions);
    return printed() ? 0 : 1;
  }
  if (decisions->empty()) fmt::print("nothing is remembered\n");
  Table table({"NUMBER", "RULE", "WHEN", "BY", "RUN"});
  std::size_t number = 0;
  for (const config::Decision& decision : *decisions) {
    table.add({fmt::to_string(++number), shown(decision.rule), shown(decision.when),
               shown(decision.by), shown(decision.run)});
  }
  if (number > 0) fmt::print("{}", table.text());
  return printed() ? 0 : 1;
}

[[nodiscard]] int forget(const config::DecisionFile& file, const std::string& which) {
  const auto count = file.forget(which);
  if (!count) return refused(count.error());
  if (*count == 0 && which != "all") {
    return refused(fmt::format("'{}' is not remembered; 'list' has what is", shown(which)));
  }
  fmt::print("{} forgotten\n", *count);
  return printed() ? 0 : 1;
}

}  // namespace

std::expected<int, EarlyExit> start_decisions(std::span<const char* const> arguments) {
  const auto raw = split_arguments(kDecisionsCommand, arguments);
  const auto usage = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kDecisionsCommand.program, mistake));
  };
  if (!raw) return usage(raw.error());
  if (auto exit = help_or_version(kDecisionsCommand, *raw))
    return std::unexpected(std::move(*exit));
  telemetry::set_log_program(kDecisionsCommand.program);
  const auto file = config::DecisionFile::of_this_user();
  if (!file) return refused(file.error());
  const std::vector<std::string>& words = raw->words;
  if (words.size() == 1 && words[0] == "list") return list(*file, raw->has(OptionId::kJson));
  if (words.size() == 2 && words[0] == "forget") return forget(*file, words[1]);
  return usage({"expected 'list', or 'forget' and a number, a rule or 'all'"});
}

}  // namespace sluice::app
