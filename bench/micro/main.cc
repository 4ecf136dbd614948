// micro_bench: what one operation of the core costs in time, instructions and allocations.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <regex>
#include <string_view>

#include "micro/modes.h"

namespace sluice::bench {
namespace {

constexpr std::string_view kHelp =
    R"(Usage: micro_bench [--benchmark_OPTION=VALUE...]
       micro_bench --list | --smoke | --allocations | --instructions [--filter REGEX]

What one operation of sluice's core costs. Without a mode each benchmark is timed by
Google Benchmark, with the counters allocs/op and bytes/op (of operator new).

Modes:
  --list          print the names, one a line
  --smoke         run each a few times, so that its assertions are checked
  --allocations   print a JSON object: name to allocations of one operation
  --instructions  count instructions; only under callgrind, so run bench/instructions
Options:
  --filter REGEX  only the benchmarks whose name has a match; for all modes and for timing
  --help          print this
For timing (all options of Google Benchmark work):
  --benchmark_min_time=0.05  --benchmark_repetitions=N  --benchmark_format=json

Examples:
  micro_bench --filter '^process_syn/'
  micro_bench --allocations --filter 'v6$'
)";

using Mode = int (*)(const Chosen&);

struct Options {
  Mode mode = nullptr;  // Null: timing.
  std::optional<std::regex> filter;
};

[[noreturn]] void usage_error(const std::string& text) {
  fmt::print(stderr, "micro_bench: {}\nmicro_bench --help lists what there is.\n", text);
  std::exit(2);
}

std::regex regex_of(const char* text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error& error) {
    usage_error(fmt::format("--filter: '{}' is no regular expression: {}", text, error.what()));
  }
}

Mode mode_of(std::string_view argument) {
  if (argument == "--list") return list;
  if (argument == "--smoke") return smoke;
  if (argument == "--allocations") return count_allocations;
  if (argument == "--instructions") return count_instructions;
  return nullptr;
}

// Leaves in `argv` what is for Google Benchmark.
Options parse(int& argc, char** argv) {
  Options options;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") {
      fmt::print("{}", kHelp);
      std::exit(0);
    }
    if (const Mode mode = mode_of(argument)) {
      if (options.mode != nullptr) usage_error("one mode at a time");
      options.mode = mode;
    } else if (argument == "--filter") {
      if (++i == argc) usage_error("--filter needs a regular expression");
      options.filter = regex_of(argv[i]);
    } else if (argument.starts_with("--filter=")) {
      options.filter = regex_of(argv[i] + std::string_view("--filter=").size());
    } else if (argument.starts_with("--benchmark_") || argument.starts_with("--v=")) {
      argv[kept++] = argv[i];
    } else {
      usage_error(fmt::format("'{}' is no option of it", argument));
    }
  }
  if (options.mode != nullptr && kept > 1) {
    usage_error(fmt::format("'{}' is for timing only", argv[1]));
  }
  argc = kept;
  return options;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  // In which order the files added theirs is the linker's choice.
  std::ranges::sort(descriptions(), {}, &Description::name);
  Chosen chosen;
  for (const Description& one : descriptions()) {
    if (!options.filter || std::regex_search(one.name, *options.filter)) chosen.push_back(&one);
  }
  if (chosen.empty()) usage_error("--filter: no benchmark has such a name; --list prints them");
  if (options.mode != nullptr) return options.mode(chosen);
  register_timed(chosen);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) { return sluice::bench::run(argc, argv); }
