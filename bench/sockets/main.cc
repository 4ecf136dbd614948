// What bytes cost between sockets and memory, as one line of JSON: bench/sockets/run chooses the
// cases.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <map>
#include <string_view>

#include "sockets/socket_case.h"

namespace {

using sluice::bench::SocketCase;
using sluice::bench::Way;
using sluice::bench::What;

bool read_option(std::string_view option, SocketCase& wanted) {
  const std::map<std::string_view, What> kWhats = {{"--tcp-out", What::kTcpOut},
                                                   {"--tcp-in", What::kTcpIn},
                                                   {"--udp-out", What::kUdpOut},
                                                   {"--udp-in", What::kUdpIn},
                                                   {"--cycle", What::kCycle}};
  const std::map<std::string_view, Way> kWays = {{"--calls", Way::kCalls},
                                                 {"--ring", Way::kRing},
                                                 {"--consuming", Way::kConsuming},
                                                 {"--zero-copy", Way::kZeroCopy},
                                                 {"--pages", Way::kPages}};
  const std::map<std::string_view, std::uint64_t SocketCase::*> kNumbers = {
      {"--peers", &SocketCase::peers},
      {"--size", &SocketCase::size},
      {"--count", &SocketCase::count}};
  if (const auto what = kWhats.find(option); what != kWhats.end()) {
    wanted.what = what->second;
    return true;
  }
  if (const auto way = kWays.find(option); way != kWays.end()) {
    wanted.way = way->second;
    return true;
  }
  const std::size_t equals = option.find('=');
  const auto number = kNumbers.find(option.substr(0, equals));
  if (equals == std::string_view::npos || number == kNumbers.end()) return false;
  const std::string_view text = option.substr(equals + 1);
  std::uint64_t& into = wanted.*number->second;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), into);
  return error == std::errc{} && end == text.end() && into > 0 && into <= 100'000'000;
}

}  // namespace

int main(int argc, char** argv) {
  SocketCase wanted;
  for (int i = 1; i < argc; ++i) {
    if (read_option(argv[i], wanted)) continue;
    fmt::print(stderr, "socket-ways: {} is no option of it; see bench/sockets/run\n", argv[i]);
    return 2;
  }
  const auto result = sluice::bench::run_socket_case(wanted);
  if (!result) {
    fmt::print(stderr, "socket-ways: {}\n", result.error());
    return 1;
  }
  fmt::print("{{\"cpu_ns\": {}, \"wall_ns\": {}, \"bytes\": {}, \"count\": {}, \"calls\": {}}}\n",
             result->cpu_ns, result->wall_ns, result->bytes, result->count, result->calls);
  return 0;
}
