// What micro_bench does besides timing: lists, counts and the smoke run.
#pragma once

#include <vector>

#include "micro/harness.h"

namespace sluice::bench {

using Chosen = std::vector<const Description*>;

// Makes the benchmark and runs it until its buffers and tables have their size.
[[nodiscard]] std::unique_ptr<Scenario> warmed_up(const Description& description);

// Each returns the program's exit status.
int list(const Chosen& chosen);
int smoke(const Chosen& chosen);
// A JSON object on stdout: allocations of one operation by name.
int count_allocations(const Chosen& chosen);
// Under callgrind: one dump a benchmark, named "name|operations|allocations".
int count_instructions(const Chosen& chosen);
// Registers all with Google Benchmark.
void register_timed(const Chosen& chosen);

}  // namespace sluice::bench
