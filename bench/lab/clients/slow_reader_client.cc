// Reads from a chargen port at a low rate, or not at all, while the server sends as fast as it is
// let. What the server's pattern should be is checked, so that a byte lost under back-pressure is
// seen.
#include <fmt/core.h>

#include "clients/latency_options.h"
#include "clients/sockets.h"

namespace sluice::bench {
namespace {

const char* const kHelp = R"(
Back-pressure: reads from a chargen port at RATE bytes a second for S seconds while the server
sends as fast as it is let, then N more bytes at full speed. Every byte is compared with the
server's pattern. What lies between must neither lose a byte nor hoard them.

Options:
  --rate BYTES     a second (default 100000); 0 reads nothing at all
  --seconds S      at that rate (default 5)
  --drain N        bytes at full speed after it (default 0)
  --family 4|6     the address to use where HOST is a name that has both
  --json           is accepted, as by every client: there is no other form

JSON: read (bytes in all), slow_bytes, slow_seconds, drain_bytes, drain_seconds, drain_gbit.

Exit status: 0; 1 when a byte was wrong or the stream ended; 2 for a wrong command line.

Example:
  lab-server --chargen 7019 &
  slow-reader-client 10.0.0.2 7019 --rate 50000 --seconds 3 --drain 100000000
)";

class Reader {
 public:
  explicit Reader(int fd) : fd_(fd), buffer_(kChunk), pattern_(kChunk + kPeriod) {
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
      pattern_[i] = static_cast<unsigned char>(i % kPeriod);
    }
  }

  // Reads at most `most` bytes and checks that they follow those before.
  void read(std::size_t most) {
    const ssize_t got = ::recv(fd_, buffer_.data(), std::min(most, buffer_.size()), 0);
    if (got == 0) die("recv", ECONNRESET);
    if (got < 0) die("recv");
    const unsigned char* expected = pattern_.data() + total_ % kPeriod;
    if (std::memcmp(buffer_.data(), expected, static_cast<std::size_t>(got)) != 0) {
      die("a byte differs from the pattern", EBADMSG);
    }
    total_ += static_cast<std::uint64_t>(got);
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  static constexpr std::size_t kChunk = 65536;
  static constexpr std::size_t kPeriod = 251;  // Of the lab server's chargen.

  int fd_;
  std::vector<unsigned char> buffer_;
  std::vector<unsigned char> pattern_;  // From any phase, as long as a chunk.
  std::uint64_t total_ = 0;
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(argc, argv,
                            {"slow-reader-client HOST PORT [--rate BYTES] [--seconds S] "
                             "[--drain N] [--family 4|6] [--json]",
                             kHelp + 1},
                            {"--rate", "--seconds", "--drain", "--family"}, {"--json"});
  arguments.require_positional(2);
  const std::uint64_t rate = arguments.number("--rate", 100'000);
  const std::uint64_t duration_ns = arguments.number("--seconds", 5) * 1'000'000'000U;

  const Address server = resolve(arguments.text(0), arguments.port(1), family_option(arguments));
  const sluice::UniqueFd fd = open_stream(server.family());
  connect_stream(fd.get(), server);
  Reader reader(fd.get());
  const std::uint64_t started = now_ns();
  constexpr timespec kTick{.tv_sec = 0, .tv_nsec = 20'000'000};
  while (now_ns() - started < duration_ns) {
    ::nanosleep(&kTick, nullptr);
    const std::uint64_t due = (now_ns() - started) * rate / 1'000'000'000U;
    if (due > reader.total()) reader.read(due - reader.total());
  }
  const std::uint64_t slow_bytes = reader.total();
  const std::uint64_t slow_end = now_ns();
  // Then at full speed: what was held back must all come, in order.
  const std::uint64_t end = slow_bytes + arguments.number("--drain", 0);
  while (reader.total() < end) reader.read(end - reader.total());
  const double drain_seconds = static_cast<double>(now_ns() - slow_end) / 1e9;
  const std::uint64_t drained = reader.total() - slow_bytes;
  fmt::print(
      "{{\"read\":{},\"slow_bytes\":{},\"slow_seconds\":{:.6f},\"drain_bytes\":{},"
      "\"drain_seconds\":{:.6f},\"drain_gbit\":{:.3f}}}\n",
      reader.total(), slow_bytes, static_cast<double>(slow_end - started) / 1e9, drained,
      drain_seconds, drained == 0 ? 0.0 : static_cast<double>(drained) * 8e-9 / drain_seconds);
}
