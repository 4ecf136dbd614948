#include "app/top/top_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "app/ctl/answer_members.h"
#include "config/egress/name_facts.h"

namespace sluice::app {
namespace {

using namespace std::chrono_literals;
using control::Verb;
using Json = nlohmann::json;

constexpr auto kEach = 1000ms;
constexpr std::size_t kFilterMax = 100;

[[nodiscard]] Instant now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

[[nodiscard]] std::optional<std::string> domain_of(const std::string& name) {
  std::string domain = config::registrable_domain(name);
  return domain.empty() ? std::nullopt : std::optional(std::move(domain));
}

[[nodiscard]] pid_t process_of(control::Connection& run) {
  const auto status = ask(run, request_line(Verb::kStatus));
  return status ? static_cast<pid_t>(fraction_of(status->answer, "pid")) : 0;
}

}  // namespace

TopSession::TopSession(control::Connection run)
    : run_(std::move(run)), model_(domain_of), processes_(process_of(run_)) {}

std::expected<void, std::string> TopSession::look() {
  const auto status = ask(run_, request_line(Verb::kStatus));
  if (!status) return std::unexpected(status.error());
  const Json& said = status->answer;
  head_ = {.run = text_of(said, "run"),
           .program = text_of(said, "program"),
           .uptime_s = fraction_of(said, "uptime_s"),
           .generation = static_cast<std::uint64_t>(fraction_of(said, "generation")),
           .fallback = text_of(said, "default"),
           .rules = static_cast<std::uint64_t>(fraction_of(said, "rules"))};
  std::vector<TopFlow> flows;
  const auto asked = ask_pages(run_, Verb::kFlows, [&](std::string_view line) {
    if (auto flow = read_top_flow(line)) flows.push_back(std::move(*flow));
  });
  if (!asked) return std::unexpected(asked.error());
  if (!asked->ok()) return std::unexpected(message_of(*asked));
  processes_.name_processes(flows);
  model_.look(std::move(flows), now());
  return {};
}

std::vector<TopGroup> TopSession::groups() const {
  return model_.groups(state_.sort, state_.filter);
}

std::string TopSession::text() const {
  constexpr std::size_t kColumns = 140;
  const std::vector<TopGroup> all = groups();
  TopState open = state_;
  for (const TopGroup& group : all) open.open.insert(group.title);
  return top_screen(head_, all, open, {.columns = kColumns, .lines = 0});
}

std::expected<void, std::string> TopSession::show(Terminal& terminal) {
  const telemetry::Color color = telemetry::color_for(STDOUT_FILENO);
  Instant next{};
  while (true) {
    if (now() >= next && !state_.paused) {
      if (auto looked = look(); !looked) return looked;
      next = now() + kEach;
    }
    const std::size_t rows = top_rows(groups(), state_).size();
    state_.selected = std::min(state_.selected, rows == 0 ? 0 : rows - 1);
    TopSize size = Terminal::size();
    size.color = color;
    if (!terminal.draw(top_screen(head_, groups(), state_, size))) return {};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now());
    if (!on_key(terminal.wait_for_key(state_.paused ? kEach : std::clamp(left, 0ms, kEach)))) {
      return {};
    }
  }
}

bool TopSession::on_key(const Terminal::Key& key) {
  using Kind = Terminal::Kind;
  if (key.kind == Kind::kNone) return true;
  if (key.kind == Kind::kGone) return false;
  if (mode_ == Mode::kFilter) {
    on_filter_key(key);
    return true;
  }
  if (std::exchange(mode_, Mode::kKeys) == Mode::kConfirm) {
    state_.prompt.clear();
    if (key.kind == Kind::kLetter && key.letter == 'y') kill();
    return true;
  }
  state_.message.clear();
  if (key.kind == Kind::kUp) move(-1);
  if (key.kind == Kind::kDown) move(1);
  if (key.kind == Kind::kEnter) {
    const std::vector<TopGroup> all = groups();
    const std::vector<TopRow> rows = top_rows(all, state_);
    if (state_.selected < rows.size()) {
      const std::string& title = rows[state_.selected].group->title;
      if (state_.open.erase(title) == 0) state_.open.insert(title);
    }
  }
  if (key.kind == Kind::kLetter && key.letter == 'q') return false;
  if (key.kind == Kind::kLetter) on_letter(key.letter);
  return true;
}

void TopSession::on_letter(char letter) {
  if (letter == 's') {
    const std::size_t next = (static_cast<std::size_t>(state_.sort) + 1) % kTopSortCount;
    state_.sort = static_cast<TopSort>(next);
  } else if (letter == 'p' || letter == ' ') {
    state_.paused = !state_.paused;
  } else if (letter == '/') {
    mode_ = Mode::kFilter;
    state_.prompt = "filter: " + state_.filter;
  } else if (letter == 'k') {
    ask_to_kill();
  }
}

void TopSession::on_filter_key(const Terminal::Key& key) {
  using Kind = Terminal::Kind;
  if (key.kind == Kind::kLetter && state_.filter.size() < kFilterMax) state_.filter += key.letter;
  if (key.kind == Kind::kBack && !state_.filter.empty()) state_.filter.pop_back();
  if (key.kind == Kind::kEscape) state_.filter.clear();
  const bool typed = key.kind == Kind::kLetter || key.kind == Kind::kBack;
  if (!typed) mode_ = Mode::kKeys;
  state_.prompt = typed ? "filter: " + state_.filter : "";
  state_.selected = 0;
}

void TopSession::move(int by) {
  const std::size_t rows = top_rows(groups(), state_).size();
  if (by < 0 && state_.selected > 0) --state_.selected;
  if (by > 0 && state_.selected + 1 < rows) ++state_.selected;
}

void TopSession::ask_to_kill() {
  const std::vector<TopGroup> all = groups();
  const std::vector<TopRow> rows = top_rows(all, state_);
  if (state_.selected >= rows.size()) return;
  const TopRow& row = rows[state_.selected];
  doomed_.clear();
  if (row.flow != nullptr) {
    doomed_.push_back(row.flow->number);
  } else {
    for (const TopFlow& flow : row.group->flows) doomed_.push_back(flow.number);
  }
  const std::string whom = row.flow != nullptr ? row.flow->target() : row.group->title;
  state_.prompt =
      fmt::format("end {} flow{} to {}? y/n", doomed_.size(), doomed_.size() == 1 ? "" : "s", whom);
  mode_ = Mode::kConfirm;
}

void TopSession::kill() {
  std::size_t ended = 0;
  for (const std::string& number : doomed_) {
    const auto asked = ask(run_, request_line(Verb::kKill, [&](telemetry::JsonLine& line) {
                             line.text("flow", number);
                           }));
    if (asked && asked->ok()) ++ended;
  }
  state_.message = fmt::format("{} of {} flows ended", ended, doomed_.size());
}

}  // namespace sluice::app
