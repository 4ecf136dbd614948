// Reads from a chargen port at a low rate, or not at all, while the server sends as fast as it is
// let. What the server's pattern should be is checked, so that a byte lost under back-pressure is
// seen. Prints how much was read.
#include "clients/arguments.h"
#include "clients/sockets.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage =
    "slow-reader-client HOST PORT [--rate BYTES-PER-SECOND] [--seconds N] [--drain BYTES]";

class Reader {
 public:
  explicit Reader(int fd) : fd_(fd), buffer_(65536) {}

  // Reads at most `most` bytes and checks that they follow those before.
  void read(std::size_t most) {
    const ssize_t got = ::recv(fd_, buffer_.data(), std::min(most, buffer_.size()), 0);
    if (got == 0) die("recv", ECONNRESET);
    if (got < 0) die("recv");
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      if (buffer_[i] != static_cast<unsigned char>((total_ + i) % 251)) die("pattern", EBADMSG);
    }
    total_ += static_cast<std::uint64_t>(got);
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  int fd_;
  std::vector<unsigned char> buffer_;
  std::uint64_t total_ = 0;
};

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(argc, argv, kUsage, {"--rate", "--seconds", "--drain"}, {});
  arguments.require_positional(2);
  const Address server = resolve(arguments.text(0), arguments.number(1));
  const std::uint64_t rate = arguments.number("--rate", 100'000);
  const std::uint64_t duration_ns = arguments.number("--seconds", 5) * 1'000'000'000U;

  const sluice::UniqueFd fd = open_stream(server.family());
  if (::connect(fd.get(), server.get(), server.length) != 0) die("connect");
  Reader reader(fd.get());
  const std::uint64_t started = now_ns();
  constexpr timespec kTick{.tv_sec = 0, .tv_nsec = 20'000'000};
  while (now_ns() - started < duration_ns) {
    ::nanosleep(&kTick, nullptr);
    const std::uint64_t due = (now_ns() - started) * rate / 1'000'000'000U;
    if (due > reader.total()) reader.read(due - reader.total());
  }
  // Then at full speed: what was held back must all come, in order.
  const std::uint64_t end = reader.total() + arguments.number("--drain", 0);
  while (reader.total() < end) reader.read(end - reader.total());
  std::printf("{\"read\":%llu}\n", static_cast<unsigned long long>(reader.total()));
}
