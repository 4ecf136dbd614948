#include <benchmark/benchmark.h>

#include "micro/allocations.h"
#include "micro/modes.h"

namespace sluice::bench {
namespace {

// Google Benchmark calls a benchmark several times until it ran long enough. The scenario is made
// at the first call and kept until another benchmark comes.
struct Kept {
  const Description* description = nullptr;
  std::unique_ptr<Scenario> scenario;
};

Scenario& scenario_of(const Description& description) {
  static Kept kept;
  if (kept.description != &description) {
    kept.scenario.reset();
    kept = {&description, warmed_up(description)};
  }
  return *kept.scenario;
}

void run_timed(benchmark::State& state, const Description& description) {
  Scenario& scenario = scenario_of(description);
  Allocations spent;
  auto left = static_cast<std::uint64_t>(state.max_iterations);
  const auto next_step = [&] {
    return std::clamp<std::uint64_t>(left, 1, std::min<std::uint64_t>(scenario.batch(), INT64_MAX));
  };
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(next_step()))) {
    const std::uint64_t step = next_step();
    if (scenario.needs_restore()) {
      state.PauseTiming();
      scenario.restore();
      state.ResumeTiming();
    }
    const Allocations before = allocations_so_far();
    scenario.run(step);
    spent += allocations_so_far() - before;
    left -= step;
  }
  scenario.check();
  state.counters["allocs/op"] =
      benchmark::Counter(static_cast<double>(spent.count), benchmark::Counter::kAvgIterations);
  state.counters["bytes/op"] =
      benchmark::Counter(static_cast<double>(spent.bytes), benchmark::Counter::kAvgIterations);
}

}  // namespace

void register_timed(const Chosen& chosen) {
  for (const Description* one : chosen) {
    benchmark::RegisterBenchmark(one->name.c_str(),
                                 [one](benchmark::State& state) { run_timed(state, *one); });
  }
}

}  // namespace sluice::bench
