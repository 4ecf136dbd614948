#include "app/ctl/ctl_answers.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "app/ctl/answer_members.h"
#include "app/ctl/ctl_tables.h"
#include "app/ctl/run_client.h"
#include "config/egress/decision_file.h"
#include "policy/ask/ask_settings.h"
#include "telemetry/log.h"
#include "telemetry/text.h"

namespace sluice::app {
namespace {

using control::Connection;
using control::Verb;
using Json = nlohmann::json;

// Of a name longer than this the end is shown: there it says whose it is.
constexpr std::size_t kNameShown = 60;

[[nodiscard]] std::string end_of(std::string name) {
  if (name.size() <= kNameShown) return name;
  return "..." + name.substr(name.size() - kNameShown);
}

// Whom the flows are for: "www.example.com:443/tcp".
[[nodiscard]] std::string target_of(const Json& question) {
  std::string host = end_of(text_of(question, "name"));
  if (host.empty()) {
    host = text_of(question, "address");
    if (host.find(':') != std::string::npos) host = fmt::format("[{}]", host);
  }
  const std::uint64_t port = number_of(question, "port");
  const std::string place = port == 0 ? "" : fmt::format(":{}", port);
  return fmt::format("{}{}/{}", host, place, text_of(question, "proto"));
}

[[nodiscard]] std::string left_of(const Json& question) {
  const auto left = question.find("left_s");
  if (left == question.end() || !left->is_number()) return "unanswered";
  return telemetry::human_duration(seconds_of(question, "left_s"));
}

[[nodiscard]] std::vector<std::string> pending_head() {
  return {"DOMAIN", "ID", "ASKS FOR", "TRIES", "WAITS", "RULE"};
}

[[nodiscard]] bool for_terminal() { return ::isatty(STDOUT_FILENO) != 0; }

[[nodiscard]] int refused(const std::string& why) {
  telemetry::log_error("{}", why);
  return 1;
}

[[nodiscard]] bool printed() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

[[nodiscard]] std::expected<void, std::string> remember(const Json& answer) {
  const auto file = config::DecisionFile::of_this_user();
  if (!file) return std::unexpected(file.error());
  return file->remember({.rule = text_of(answer, "rule"),
                         .when = config::decided_at(std::chrono::system_clock::now()),
                         .by = "ctl",
                         .run = text_of(answer, "command"),
                         .note = {}});
}

// What became of it, in a line.
[[nodiscard]] std::string outcome_of(const GivenAnswer& given, const Json& answer) {
  const std::string rule = text_of(answer, "rule");
  const bool late = answer.value("late", false);
  std::string text = rule.empty() ? (given.verb == Verb::kApprove ? std::string("approved once")
                                                                  : std::string("refused once"))
                                  : fmt::format("{}, {}", rule, text_of(answer, "scope"));
  if (late) text += "; nothing waits for it any more, it is for the next try";
  return text;
}

[[nodiscard]] std::expected<std::string, std::string> send_answer(Connection& run,
                                                                  const GivenAnswer& given,
                                                                  std::string& outcome) {
  const auto asked = ask(run, request_line(given.verb, [&](telemetry::JsonLine& line) {
                           line.number("question", given.question);
                           if (!given.scope.empty()) line.text("scope", given.scope);
                           if (!given.of.empty()) line.text("of", given.of);
                           line.text("by", "ctl");
                         }));
  if (!asked) return std::unexpected(asked.error());
  if (!asked->ok()) return std::unexpected(message_of(*asked));
  outcome = outcome_of(given, asked->answer);
  if (text_of(asked->answer, "scope") == "always") {
    if (!run.is_own()) {
      return std::unexpected("it holds for this run, but is not remembered: it is another user's");
    }
    if (const auto kept = remember(asked->answer); !kept) {
      return std::unexpected(
          fmt::format("it holds for this run, but is not remembered: {}", kept.error()));
    }
  }
  return asked->last;
}

// The lines of a person, and the events of the run, as either comes.
class Conversation {
 public:
  Conversation(Connection& events, Connection& requests) : events_(events), requests_(requests) {}

  [[nodiscard]] int run() {
    fmt::print(
        "Questions show here; answer with 'approve ID [once|run|always] "
        "[name:port|name|domain]' or 'refuse ID ...'.\n");
    (void)show_pending(requests_, false);
    std::array waiting{pollfd{.fd = events_.fd(), .events = POLLIN, .revents = 0},
                       pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
    while (true) {
      if (!printed()) return 1;
      if (!events_.has_line() && ::poll(waiting.data(), waiting.size(), -1) < 0) continue;
      if ((events_.has_line() || waiting[0].revents != 0) && !on_event()) return 0;
      if (waiting[1].revents != 0 && !on_input()) waiting[1].fd = -1;  // It goes on being there.
      waiting[1].revents = 0;
    }
  }

 private:
  // False: the run has ended.
  bool on_event() {
    const auto line = events_.read_line();
    if (!line) return false;
    const Json event = Json::parse(*line, nullptr, false);
    if (!event.is_object()) return true;
    const std::string type = text_of(event, "type");
    if (type == "ask") {
      const auto row = question_row(*line);
      if (!row.empty()) fmt::print("\a{}", question_text(row, for_terminal()));
    } else if (type == "decision") {
      const std::string by = text_of(event, "by");
      fmt::print("question {}: {}{}{}\n", number_of(event, "question"), text_of(event, "result"),
                 by.empty() ? "" : ", by ", by);
    }
    return true;
  }

  // False: there is no more.
  bool on_input() {
    std::array<char, 1024> buffer{};
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got <= 0) return false;
    input_.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = input_.find('\n')) != std::string::npos;) {
      on_line(input_.substr(0, end));
      input_.erase(0, end + 1);
    }
    return input_.size() < buffer.size();
  }

  void on_line(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty()) return;
    const std::string verb = words.front();
    words.erase(words.begin());
    if (verb == "pending" && words.empty()) {
      (void)show_pending(requests_, false);
      return;
    }
    if (verb != "approve" && verb != "refuse") {
      telemetry::log_warn("'{}' is no answer; expected approve, refuse or pending", shown(verb));
      return;
    }
    const auto given = read_answer(verb == "approve" ? Verb::kApprove : Verb::kRefuse, words);
    if (!given) {
      telemetry::log_warn("{}", given.error());
      return;
    }
    (void)give_answer(requests_, *given, false);
  }

  Connection& events_;
  Connection& requests_;
  std::string input_;
};

}  // namespace

std::expected<GivenAnswer, std::string> read_answer(Verb verb,
                                                    const std::vector<std::string>& words) {
  const std::string_view name = to_string(verb);
  if (words.empty()) return std::unexpected(fmt::format("{}: ID is missing", name));
  GivenAnswer given{.verb = verb, .question = 0, .scope = {}, .of = {}};
  const char* const end = words[0].data() + words[0].size();
  const auto [stop, error] = std::from_chars(words[0].data(), end, given.question);
  if (error != std::errc{} || stop != end) {
    return std::unexpected(
        fmt::format("{}: '{}' is no question's number; 'pending' has them", name, shown(words[0])));
  }
  for (std::size_t i = 1; i < words.size(); ++i) {
    std::string& to = policy::parse_scope(words[i]) ? given.scope : given.of;
    if (&to == &given.of && !policy::parse_breadth(words[i])) {
      return std::unexpected(
          fmt::format("{}: '{}' is neither once, run or always nor name:port, name or domain", name,
                      shown(words[i])));
    }
    if (!to.empty()) {
      return std::unexpected(fmt::format("{}: '{}' is too much", name, shown(words[i])));
    }
    to = words[i];
  }
  return given;
}

std::vector<std::string> question_row(std::string_view line) {
  const Json question = Json::parse(line, nullptr, false);
  if (!question.is_object() || !question.contains("question")) return {};
  const std::string domain = end_of(text_of(question, "domain"));
  return {domain.empty() ? "-" : domain,
          fmt::to_string(number_of(question, "question")),
          target_of(question),
          fmt::to_string(number_of(question, "count")),
          left_of(question),
          text_of(question, "rule")};
}

std::string question_text(const std::vector<std::string>& row, bool bold) {
  const std::string domain = bold ? fmt::format("\x1b[1m{}\x1b[0m", row[0]) : row[0];
  return fmt::format("{}  question {}: {}  (rule {})\n", domain, row[1], row[2], row[5]);
}

int show_pending(Connection& run, bool json) {
  Table table(pending_head());
  std::vector<std::size_t> bold{0};
  const auto asked = ask(run, request_line(Verb::kPending), [&](std::string_view line) {
    if (json) {
      fmt::print("{}\n", line);
      return;
    }
    auto row = question_row(line);
    if (row.empty()) return;
    bold.push_back(row.front().size());
    table.add(std::move(row));
  });
  if (!asked) return refused(asked.error());
  if (!asked->ok()) return refused(message_of(*asked));
  if (json) {
    fmt::print("{}\n", asked->last);
  } else if (table.rows() > 0) {
    std::istringstream lines(table.text({.width = terminal_width(), .cut = "ASKS FOR"}));
    std::size_t row = 0;
    for (std::string line; std::getline(lines, line); ++row) {
      if (for_terminal() && row > 0 && row < bold.size()) {
        line.insert(bold[row], "\x1b[0m");
        line.insert(0, "\x1b[1m");
      }
      fmt::print("{}\n", line);
    }
  } else {
    fmt::print("nothing is asked\n");
  }
  return printed() ? 0 : 1;
}

int give_answer(Connection& run, const GivenAnswer& given, bool json) {
  std::string outcome;
  const auto answered = send_answer(run, given, outcome);
  if (!answered) return refused(answered.error());
  fmt::print("{}\n", json ? *answered : outcome);
  return printed() ? 0 : 1;
}

int answer_questions(const std::string& run) {
  auto events = connect_to_run(run);
  if (!events) return refused(events.error());
  const auto subscribed =
      ask(*events, request_line(Verb::kSubscribe,
                                [](telemetry::JsonLine& line) { line.flag("answers", true); }));
  if (!subscribed) return refused(subscribed.error());
  if (!subscribed->ok()) return refused(message_of(*subscribed));
  events->set_patience(std::chrono::seconds(0));
  auto requests = connect_to_run(run);
  if (!requests) return refused(requests.error());
  return Conversation(*events, *requests).run();
}

}  // namespace sluice::app
