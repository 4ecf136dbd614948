// Rounds of a hand-made guest's doorbell, as one line of JSON: bench/box/run chooses the cases.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include "box/bell_case.h"
#include "box/bell_mailbox.h"

namespace {

using sluice::bench::Answer;
using sluice::bench::BellCase;

bool read_number(std::string_view text, std::uint64_t max, std::uint64_t& into) {
  const auto [end, error] = std::from_chars(text.begin(), text.end(), into);
  return error == std::errc{} && end == text.end() && into >= 1 && into <= max;
}

bool read_option(std::string_view option, BellCase& wanted) {
  const std::map<std::string_view, std::pair<bool BellCase::*, bool>> kSwitches = {
      {"--no-ioeventfd", {&BellCase::ioeventfd, false}},
      {"--no-irqfd", {&BellCase::irqfd, false}},
      {"--no-registers", {&BellCase::registers, false}},
      {"--acknowledge", {&BellCase::acknowledge, true}},
      {"--lock", {&BellCase::lock, true}},
      {"--each", {&BellCase::each, true}},
      {"--not-pinned", {&BellCase::pinned, false}},
  };
  const std::map<std::string_view, Answer> kAnswers = {
      {"--bell", Answer::kBell}, {"--net", Answer::kNet}, {"--hand-off", Answer::kHandOff}};
  if (const auto found = kSwitches.find(option); found != kSwitches.end()) {
    wanted.*found->second.first = found->second.second;
    return true;
  }
  if (const auto found = kAnswers.find(option); found != kAnswers.end()) {
    wanted.answer = found->second;
    return true;
  }
  const std::size_t equals = option.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view value = option.substr(equals + 1);
  option = option.substr(0, equals);
  if (option == "--guest") {
    wanted.guest = value;
    return true;
  }
  using namespace sluice::bench;
  if (option == "--rounds") return read_number(value, kBellRoundsMax, wanted.rounds);
  return option == "--burst" && read_number(value, kBellBurstMax, wanted.burst);
}

}  // namespace

int main(int argc, char** argv) {
  BellCase wanted;
  for (int i = 1; i < argc; ++i) {
    if (read_option(argv[i], wanted)) continue;
    fmt::print(stderr, "box-bell: {} is no option of it; see bench/box/run\n", argv[i]);
    return 2;
  }
  const auto result = sluice::bench::run_case(wanted);
  if (!result) {
    fmt::print(stderr, "box-bell: {}\n", result.error());
    return 1;
  }
  const auto& sorted = result->nanoseconds;
  fmt::print(
      "{{\"p50\": {}, \"p99\": {}, \"rounds\": {}, \"doorbells\": {}, "
      "\"notify_exits\": {}, \"register_exits\": {}, \"answer_ns\": {}}}\n",
      sorted[sorted.size() / 2], sorted[sorted.size() * 99 / 100], sorted.size(), result->doorbells,
      result->notify_exits, result->register_exits, result->answer_ns);
  return 0;
}
