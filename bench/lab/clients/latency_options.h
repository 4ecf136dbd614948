// The command line that the latency clients share: HOST PORT COUNT and how many flows, of what
// size, at what rate.
#pragma once

#include <cstdint>
#include <string>

#include "clients/arguments.h"
#include "clients/sockets.h"

namespace sluice::bench {

// Where the clients differ.
struct LatencyClient {
  std::string name{};
  std::string count{};       // What the third word counts.
  std::string measured{};    // A paragraph of the manual.
  std::string on_failure{};  // A paragraph of the manual.
  std::string example{};     // Lines of the manual.
  std::size_t size = 1;      // Of a request, by default.
  std::size_t size_least = 1;
  std::uint64_t timeout_ms = 3000;  // By default.
  bool timeout_needs_rate = true;
};

// What requests consist of. No text: where names decide, what may become an HTTP request is held
// until there is more of it.
inline constexpr char kFiller = '\0';

struct LatencyOptions {
  Address server;
  std::uint64_t per_flow = 0;  // Operations of each flow. Without a rate.
  std::uint64_t total = 0;     // Operations of all flows together. With a rate.
  std::size_t flows = 1;
  std::size_t size = 1;
  std::uint64_t rate = 0;  // Operations a second of all flows together; zero is no schedule.
  std::uint64_t timeout_ns = 0;
  bool json = false;
};

[[nodiscard]] inline Manual latency_manual(const LatencyClient& client) {
  const std::string synopsis =
      client.name + " HOST PORT {" + client.count +
      " | --rate R --seconds S} [--concurrency M] [--size BYTES] [--rate R] [--timeout-ms T] "
      "[--family 4|6] [--json]";
  const std::string text = client.measured + R"(
Options:
  --concurrency M  flows (default 1)
  --size BYTES     of a request and of its answer (default )" +
                           std::to_string(client.size) + R"()
  --rate R         R operations a second in all flows together, each with its due time. Latency
                   counts from the due time, also where the client is late, so that a stall is
                   seen in every operation that it delays (no coordinated omission). COUNT is
                   still that of each flow, but a free flow takes the next operation.
  --seconds S      with --rate and in the place of COUNT: R times S operations in all
  --timeout-ms T   )" + std::string(client.timeout_needs_rate ? "with --rate: " : "") +
                           "an operation has failed after T ms (default " +
                           std::to_string(client.timeout_ms) + R"()
  --family 4|6     the address to use where HOST is a name that has both
  --json           one JSON object instead of the line

)" + client.on_failure +
                           R"(
Output, times in ns:
  n p50 p99 mean                      of one flow
  n p50 p99 mean rate                 of M flows: the median of their p50s, the worst p99, the
                                      mean of their means, and operations a second in all
  n p50 p99 mean rate offered failed  with --rate: of all operations as one set; `rate` is what
                                      was achieved
JSON has n, flows, p50_ns, p90_ns, p99_ns, p999_ns, mean_ns, min_ns, max_ns, rate_per_s, lost;
with --rate also offered_per_s, achieved_per_s, late_start_max_ns (how late the client started an
operation), service_p50_ns … service_max_ns (from the actual start), and errors with refused,
timed_out, reset and other. Quantiles are exact to 0.4%.

Exit status: 0; 1 when the measurement could not be made; 2 for a wrong command line.

Example:
)" + client.example;
  return {synopsis, text};
}

[[nodiscard]] inline Arguments latency_arguments(int argc, char** argv,
                                                 const LatencyClient& client) {
  return {argc,
          argv,
          latency_manual(client),
          {"--concurrency", "--size", "--family", "--rate", "--seconds", "--timeout-ms"},
          {"--json"}};
}

[[nodiscard]] inline int family_option(const Arguments& arguments) {
  const std::string_view family = arguments.text("--family", "");
  if (family == "4") return AF_INET;
  if (family == "6") return AF_INET6;
  if (!family.empty()) arguments.fail("--family must be 4 or 6, not", family);
  return AF_UNSPEC;
}

[[nodiscard]] inline LatencyOptions parse_latency(const Arguments& arguments,
                                                  const LatencyClient& client) {
  constexpr std::uint64_t kMost = 1'000'000'000;
  arguments.require_positional(2, 3);
  LatencyOptions options;
  options.flows = arguments.number("--concurrency", 1, 1, 1'000'000);
  options.size = arguments.number("--size", client.size, client.size_least, kMost);
  options.json = arguments.has("--json");
  options.timeout_ns =
      arguments.number("--timeout-ms", client.timeout_ms, 1, 3'600'000) * 1'000'000;
  const bool counted = arguments.positional_count() == 3;
  const bool timed = arguments.has("--seconds");
  if (arguments.has("--rate")) {
    options.rate = arguments.number("--rate", 0, 1, kMost);
    if (counted == timed) arguments.fail("with --rate give either COUNT or", "--seconds");
    options.total = timed ? options.rate * arguments.number("--seconds", 0, 1, 1'000'000)
                          : arguments.number(2) * options.flows;
  } else {
    if (timed) arguments.fail("only with --rate can there be", "--seconds");
    if (client.timeout_needs_rate && arguments.has("--timeout-ms")) {
      arguments.fail("only with --rate can there be", "--timeout-ms");
    }
    arguments.require_positional(3);
    options.per_flow = arguments.number(2);
  }
  options.server = resolve(arguments.text(0), arguments.port(1), family_option(arguments));
  return options;
}

}  // namespace sluice::bench
