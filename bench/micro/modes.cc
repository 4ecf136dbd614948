#include "micro/modes.h"

#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <thread>

#include "micro/allocations.h"

namespace sluice::bench {
namespace {

constexpr std::uint64_t kWarmUp = 64;
constexpr std::uint64_t kSmoke = 3;

// Runs `operations` in batches and calls `around(batch)` for what is to be measured.
template <typename Around>
void run_batches(Scenario& scenario, std::uint64_t operations, const Around& around) {
  for (std::uint64_t left = operations; left > 0;) {
    const std::uint64_t step = std::min(left, scenario.batch());
    scenario.restore();
    around(step);
    left -= step;
  }
  scenario.check();
}

[[nodiscard]] Allocations allocations_of(Scenario& scenario, std::uint64_t operations) {
  Allocations spent;
  run_batches(scenario, operations, [&](std::uint64_t step) {
    const Allocations before = allocations_so_far();
    scenario.run(step);
    spent += allocations_so_far() - before;
  });
  return spent;
}

void count_under_callgrind(const Description& description) {
  const std::unique_ptr<Scenario> scenario = warmed_up(description);
  Allocations spent;
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
  run_batches(*scenario, description.counted, [&](std::uint64_t step) {
    const Allocations before = allocations_so_far();
    CALLGRIND_TOGGLE_COLLECT;
    scenario->run(step);
    CALLGRIND_TOGGLE_COLLECT;
    spent += allocations_so_far() - before;
  });
  const std::string label =
      fmt::format("{}|{}|{}", description.name, description.counted, spent.count);
  CALLGRIND_DUMP_STATS_AT(label.c_str());
  CALLGRIND_STOP_INSTRUMENTATION;
}

// In a process and a thread of its own: its heap and its stack are then fresh, whatever ran or was
// registered before. memcmp() and others take another path for another place in a page.
[[noreturn]] void count_in_child(const Description& description) {
  std::thread(count_under_callgrind, std::cref(description)).join();
  std::_Exit(0);
}

}  // namespace

std::unique_ptr<Scenario> warmed_up(const Description& description) {
  set_current(description.name);
  std::unique_ptr<Scenario> scenario = description.make();
  // A whole batch, for its last operation may be the one that makes a table grow.
  const std::uint64_t operations = scenario->needs_restore()
                                       ? std::min(scenario->batch(), description.counted)
                                       : std::min(kWarmUp, description.counted);
  scenario->restore();
  scenario->run(operations);
  scenario->check();
  return scenario;
}

int list(const Chosen& chosen) {
  for (const Description* one : chosen) fmt::print("{}\n", one->name);
  return 0;
}

int smoke(const Chosen& chosen) {
  for (const Description* one : chosen) {
    set_current(one->name);
    const std::unique_ptr<Scenario> scenario = one->make();
    run_batches(*scenario, kSmoke, [&](std::uint64_t step) { scenario->run(step); });
  }
  fmt::print("{} benchmarks did what they should\n", chosen.size());
  return 0;
}

int count_allocations(const Chosen& chosen) {
  const char* separator = "{\n";
  for (const Description* one : chosen) {
    const std::unique_ptr<Scenario> scenario = warmed_up(*one);
    const Allocations spent = allocations_of(*scenario, one->counted);
    fmt::print("{}  \"{}\": {:.3f}", separator, one->name,
               static_cast<double>(spent.count) / static_cast<double>(one->counted));
    separator = ",\n";
  }
  fmt::print("{}}}\n", chosen.empty() ? "{" : "\n");
  return 0;
}

int count_instructions(const Chosen& chosen) {
  if (RUNNING_ON_VALGRIND == 0) {
    std::fputs(
        "micro_bench: --instructions needs callgrind: run bench/instructions, or\n"
        "  valgrind --tool=callgrind --collect-atstart=no --instr-atstart=no "
        "micro_bench --instructions\n",
        stderr);
    return 2;
  }
  for (const Description* one : chosen) {
    const pid_t child = fork();
    if (child == 0) {
      (void)prctl(PR_SET_PDEATHSIG, SIGKILL);  // Valgrind may be killed from outside.
      count_in_child(*one);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
      fmt::print(stderr, "micro_bench: {}: its process failed (wait status {:#x})\n", one->name,
                 status);
      return 1;
    }
  }
  return 0;
}

}  // namespace sluice::bench
