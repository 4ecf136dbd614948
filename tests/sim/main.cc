// Seeded simulation of the engine between a guest, a faulty link and a host.
//
//   sim --seeds 20000 [--first 1]     seeds that once failed first, then a range of them
//   sim --seed N                      one seed, told frame by frame
//   sim --seeds 100000 --jobs 2       in several processes
#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "check.h"
#include "world.h"

namespace sluice::sim {
namespace {

struct Options {
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  std::optional<std::uint64_t> only;
  unsigned jobs = 1;
};

[[nodiscard]] std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    std::uint64_t value = 0;
    const char* end = argv[i + 1] + std::strlen(argv[i + 1]);
    if (std::from_chars(argv[i + 1], end, value).ptr != end) return std::nullopt;
    if (name == "--seeds") {
      options.seeds = value;
    } else if (name == "--first") {
      options.first = value;
    } else if (name == "--seed") {
      options.only = value;
    } else if (name == "--jobs") {
      options.jobs = static_cast<unsigned>(value);
    } else {
      return std::nullopt;
    }
  }
  if (argc % 2 == 0 || options.jobs == 0) return std::nullopt;
  return options;
}

[[nodiscard]] std::vector<std::uint64_t> regressions() {
  std::vector<std::uint64_t> seeds;
  std::ifstream file(SLUICE_SIM_REGRESSIONS);
  std::string line;
  while (std::getline(file, line)) {
    std::uint64_t seed = 0;
    const auto result = std::from_chars(line.data(), line.data() + line.size(), seed);
    if (result.ec == std::errc{}) seeds.push_back(seed);
  }
  return seeds;
}

[[nodiscard]] bool run_seed(std::uint64_t seed, bool verbose, Totals& totals) {
  try {
    World world(seed, verbose);
    world.run();
    totals.events += world.totals().events;
    totals.frames += world.totals().frames;
    totals.bytes += world.totals().bytes;
    totals.guest_timeouts += world.totals().guest_timeouts;
    totals.handed_over += world.totals().handed_over;
    totals.hand_overs_failed += world.totals().hand_overs_failed;
    totals.injected += world.totals().injected;
    totals.ended += world.totals().ended;
    totals.urgent_stops += world.totals().urgent_stops;
    totals.sockets_lost += world.totals().sockets_lost;
    totals.asked += world.totals().asked;
    return true;
  } catch (const Failure& failure) {
    fmt::print("FAILED: {}\n  sim --seed {}\n", failure.what(), seed);
    return false;
  }
}

// Returns the number of failures.
[[nodiscard]] int run_share(const Options& options, unsigned share) {
  const auto begin = std::chrono::steady_clock::now();
  Totals totals;
  int failures = 0;
  std::uint64_t count = 0;
  if (share == 0) {
    for (const std::uint64_t seed : regressions()) {
      ++count;
      if (!run_seed(seed, false, totals)) ++failures;
    }
  }
  for (std::uint64_t i = share; i < options.seeds && failures < 10; i += options.jobs) {
    ++count;
    if (!run_seed(options.first + i, false, totals)) ++failures;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  fmt::print(
      "{} seeds, {} failed; {} events, {} frames, {} MiB delivered, {} timeouts of guests on "
      "faulty links; {} connections handed over, {} hand-overs failed, {} packets put back; "
      "{} commands ended in the midst; {} reads ended at urgent bytes, {} sockets lost bytes; {} "
      "questions; "
      "{:.1f} s\n",
      count, failures, totals.events, totals.frames, totals.bytes >> 20, totals.guest_timeouts,
      totals.handed_over, totals.hand_overs_failed, totals.injected, totals.ended,
      totals.urgent_stops, totals.sockets_lost, totals.asked, took.count());
  std::fflush(stdout);
  return failures;
}

[[nodiscard]] int run_all(const Options& options) {
  if (options.jobs == 1) return run_share(options, 0) == 0 ? 0 : 1;
  std::vector<pid_t> children;
  for (unsigned share = 0; share < options.jobs; ++share) {
    const pid_t child = fork();
    if (child == 0) _exit(run_share(options, share) == 0 ? 0 : 1);
    children.push_back(child);
  }
  int result = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) result = 1;
  }
  return result;
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
  const auto options = sluice::sim::parse(argc, argv);
  if (!options) {
    fmt::print(stderr, "usage: sim [--seeds N] [--first S] [--jobs J] | --seed S\n");
    return 2;
  }
  if (options->only) {
    sluice::sim::Totals totals;
    return sluice::sim::run_seed(*options->only, true, totals) ? 0 : 1;
  }
  return sluice::sim::run_all(*options);
}
