// Whatever is asked, answered and given up in whatever order: the bounds hold, no flow is answered
// twice or forgotten, and each question is there once.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

#include "policy/ask/question_table.h"

namespace sluice::policy {
namespace {

using namespace std::chrono_literals;

RC_GTEST_PROP(QuestionTableProperty, EveryFlowIsAnsweredOnceAndBoundsHold, ()) {
  const auto pending = *rc::gen::inRange<std::size_t>(1, 9);
  QuestionTable table({.timeout = 5s, .pending = pending});
  Instant now{1000s};
  std::set<std::uint64_t> waiting;
  std::uint64_t flow = 0;
  const auto answered = [&](const std::vector<Waiter>& waiters) {
    for (const Waiter& waiter : waiters) RC_ASSERT(waiting.erase(waiter.flow) == 1);
  };
  const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 100));
  for (const int step : steps) {
    if (step < 60) {
      const int number = *rc::gen::inRange(0, 20);
      const std::string name = fmt::format("n{}.d{}.test", number, number % 3);
      const auto asked =
          table.ask({.subject = {.name = wire::DomainName::from_text(name), .port = {443}},
                     .waiter = Waiter{0, Protocol::kTcp, ++flow},
                     .domain = fmt::format("d{}.test", number % 3),
                     .attended = step < 50},
                    now);
      if (!asked.verdict) waiting.insert(flow);
    } else if (step < 70) {
      now += 2s;
      for (const Question& question : table.lapse(now)) answered(question.waiters);
    } else if (step < 85) {
      const auto all = table.by_domain();
      if (all.empty()) continue;
      const auto at = *rc::gen::inRange<std::size_t>(0, all.size());
      answered(table.take(all[at]->id)->waiters);
    } else if (step < 95) {
      if (waiting.empty()) continue;
      table.withdraw({0, Protocol::kTcp, *waiting.begin()});
      waiting.erase(waiting.begin());
    } else {
      for (const Question& question : table.lapse_all()) answered(question.waiters);
    }
    RC_ASSERT(table.waiting() <= pending);
    RC_ASSERT(table.unanswered() <= pending);
    std::size_t held = 0;
    for (const Question* question : table.by_domain()) {
      held += question->waiters.size();
      RC_ASSERT(question->waits() || question->waiters.empty());
    }
    RC_ASSERT(held == waiting.size());
  }
}

}  // namespace
}  // namespace sluice::policy
