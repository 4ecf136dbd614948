// Moves bytes to, from, or to and from the lab server's --transfer port and proves that every one
// of them arrived, in its place: see transfer.h for the protocol.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <random>

#include "clients/latency_options.h"
#include "clients/sockets.h"
#include "clients/transfer.h"

namespace sluice::bench {
namespace {

const char* const kSynopsis =
    "transfer-client HOST PORT {--bytes N [--direction out|in|both] [--seed N] | --file PATH} "
    "[--family 4|6] [--json]";
const char* const kHelp = R"(
A transfer with checksum over TCP, v4 or v6: N bytes of a pseudo-random stream go out, come in, or
both at once. Each end compares every byte with what the seed says it must be, and hashes what it
sent and got; the sender's half-close ends the stream. With --file the file goes out and
comes back, and is compared byte for byte. Time runs from the request to the server's last word;
connecting is not in it.

Options:
  --bytes N        bytes each way, 1 or more
  --direction D    out (default): client to server; in; both: at the same time
  --seed N         of the stream (default: a random one)
  --file PATH      send this file and get it back
  --family 4|6     the address to use where HOST is a name that has both
  --json           one JSON object instead of the line

JSON: ok, problem (what was wrong, else empty), direction, seed, seconds, bytes (both ways
together), bytes_out, bytes_in, gbit (of `bytes`, 10^9 bit/s), hash_out and hash_in (64 bits, as
hexadecimal text).

Exit status: 0; 1 when a byte was lost or wrong, or the transfer broke; 2 for a wrong command line.

Example:
  lab-server --transfer 7020 &
  transfer-client 10.0.0.2 7020 --bytes 1000000000 --direction both --json
)";

// What one side sends: a stream, or a file in memory.
class Content {
 public:
  explicit Content(std::uint64_t seed) : stream_(std::in_place, seed) {}
  explicit Content(std::span<const char> file) : file_(file) {}

  // The bytes from `offset`, at most as many as `scratch` holds.
  std::span<const char> read(std::uint64_t offset, std::span<char> scratch) const {
    if (!stream_) return file_.subspan(offset, std::min(scratch.size(), file_.size() - offset));
    stream_->fill(offset, scratch);
    return scratch;
  }

  std::optional<std::uint64_t> first_difference(std::uint64_t offset,
                                                std::span<const char> bytes) const {
    if (stream_) return stream_->first_difference(offset, bytes);
    const auto [mine, theirs] =
        std::mismatch(bytes.begin(), bytes.end(),
                      file_.begin() + static_cast<std::ptrdiff_t>(offset), file_.end());
    if (mine == bytes.end()) return std::nullopt;
    return offset + static_cast<std::uint64_t>(mine - bytes.begin());
  }

 private:
  std::optional<Stream> stream_;
  std::span<const char> file_;
};

// What a stranger said, fit for a terminal and for a JSON string.
std::string printable(std::string text) {
  for (char& c : text) c = c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : c;
  return text;
}

class Transfer {
 public:
  Transfer(int fd, const TransferRequest& request, const Content& out, const Content& in)
      : fd_(fd), request_(request), out_(out), in_(in), incoming_(kChunk), scratch_(kChunk) {
    to_send_ = request.client_sends() ? request.size : 0;
    to_receive_ = request.server_sends() ? request.size : 0;
  }

  void run() {
    const std::string line = format_request(request_);
    send_all(fd_, line.data(), line.size());
    if (to_send_ == 0) half_close();
    while (!ended_) {
      const bool sending = mine_.sent < to_send_;
      pollfd waiting{fd_, static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN), 0};
      constexpr int kPatienceMs = 30'000;
      if (::poll(&waiting, 1, kPatienceMs) == 0) die("no progress", ETIMEDOUT);
      if ((waiting.revents & ~POLLOUT) != 0) receive();
      if (sending && (waiting.revents & POLLOUT) != 0) send();
    }
    mine_.sent_hash = sent_hash_.value();
    mine_.received_hash = received_hash_.value();
  }

  // What the two ends' accounts say; empty when all is well.
  [[nodiscard]] std::string problem() const {
    if (mine_.wrong >= 0) return fmt::format("byte {} that came in is wrong", mine_.wrong);
    if (mine_.received < to_receive_) {
      return fmt::format("{} of {} bytes came in", mine_.received, to_receive_);
    }
    const auto theirs = parse_totals(answer_);
    if (!theirs) return "no transfer server answered: " + printable(answer_.substr(0, 40));
    if (theirs->wrong >= 0) return fmt::format("byte {} that went out is wrong", theirs->wrong);
    if (theirs->received != mine_.sent || theirs->received_hash != mine_.sent_hash) {
      return "the server got other bytes than were sent";
    }
    if (theirs->sent != mine_.received || theirs->sent_hash != mine_.received_hash) {
      return "the server sent other bytes than came in";
    }
    return "";
  }
  [[nodiscard]] const TransferTotals& totals() const { return mine_; }

 private:
  static constexpr std::size_t kChunk = 256 * 1024;

  void half_close() {
    if (::shutdown(fd_, SHUT_WR) != 0) die("shutdown");
  }

  void send() {
    if (unsent_.empty()) {
      const std::size_t most = std::min<std::uint64_t>(kChunk, to_send_ - mine_.sent);
      unsent_ = out_.read(mine_.sent, std::span(scratch_).first(most));
    }
    const ssize_t sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) die("send");
    const auto size = static_cast<std::size_t>(sent);
    sent_hash_.add(unsent_.first(size));
    mine_.sent += size;
    unsent_ = unsent_.subspan(size);
    if (mine_.sent == to_send_) half_close();
  }

  void receive() {
    const ssize_t got = ::recv(fd_, incoming_.data(), incoming_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) die("recv");
    ended_ = got == 0;
    const auto size = static_cast<std::size_t>(got);
    const std::size_t content = std::min<std::uint64_t>(size, to_receive_ - mine_.received);
    const std::span<const char> bytes = std::span(incoming_).first(content);
    if (mine_.wrong < 0) {
      const auto wrong = in_.first_difference(mine_.received, bytes);
      if (wrong) mine_.wrong = static_cast<std::int64_t>(*wrong);
    }
    received_hash_.add(bytes);
    mine_.received += content;
    answer_.append(incoming_.data() + content, size - content);
  }

  int fd_;
  TransferRequest request_;
  const Content& out_;
  const Content& in_;
  std::vector<char> incoming_;
  std::vector<char> scratch_;
  std::span<const char> unsent_;
  std::uint64_t to_send_ = 0;
  std::uint64_t to_receive_ = 0;
  bool ended_ = false;
  std::string answer_;
  StreamHash sent_hash_;
  StreamHash received_hash_;
  TransferTotals mine_;
};

// For as long as the program runs.
std::span<const char> map_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) die(path.c_str());
  const auto size = static_cast<std::size_t>(status.st_size);
  if (!S_ISREG(status.st_mode) || size == 0)
    die((path + " is no file with content").c_str(), EINVAL);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (memory == MAP_FAILED) die(path.c_str());
  return {static_cast<const char*>(memory), size};
}

int run(const Address& server, const TransferRequest& request, const Content& out,
        const Content& in, bool json) {
  const UniqueFd fd = open_stream(server.family());
  connect_stream(fd.get(), server);
  Transfer transfer(fd.get(), request, out, in);
  const std::uint64_t started = now_ns();
  transfer.run();
  const double seconds = static_cast<double>(now_ns() - started) / 1e9;
  const TransferTotals& totals = transfer.totals();
  const std::uint64_t bytes = totals.sent + totals.received;
  const double gbit = static_cast<double>(bytes) * 8 / 1e9 / seconds;
  const std::string problem = transfer.problem();
  if (json) {
    fmt::print(
        "{{\"ok\":{},\"problem\":\"{}\",\"direction\":\"{}\",\"seed\":{},\"seconds\":{:.6f},"
        "\"bytes\":{},\"bytes_out\":{},\"bytes_in\":{},\"gbit\":{:.3f},\"hash_out\":\"{:016x}\","
        "\"hash_in\":\"{:016x}\"}}\n",
        problem.empty(), problem, name_of(request.direction), request.seed, seconds, bytes,
        totals.sent, totals.received, gbit, totals.sent_hash, totals.received_hash);
  } else if (problem.empty()) {
    fmt::print("{} bytes in {:.3f} s, {:.3f} Gbit/s, hash out {:016x} in {:016x}: ok\n", bytes,
               seconds, gbit, totals.sent_hash, totals.received_hash);
  }
  if (problem.empty()) return 0;
  fmt::print(stderr, "transfer-client: seed {}: {}\n", request.seed, problem);
  return 1;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(argc, argv, {kSynopsis, kHelp + 1},
                            {"--bytes", "--direction", "--seed", "--file", "--family"}, {"--json"});
  arguments.require_positional(2);
  const bool json = arguments.has("--json");
  const int family = family_option(arguments);
  if (arguments.has("--file") == arguments.has("--bytes")) {
    arguments.fail("give either --bytes N or", "--file PATH");
  }
  TransferRequest request;
  if (arguments.has("--file")) {
    for (const char* other : {"--direction", "--seed"}) {
      if (arguments.has(other))
        arguments.fail("a file always goes out and comes back: drop", other);
    }
    const auto file = map_file(std::string(arguments.text("--file", "")));
    request.direction = Direction::kBack;
    request.size = file.size();
    const Content content(file);
    return run(resolve(arguments.text(0), arguments.port(1), family), request, content, content,
               json);
  }
  const std::string_view direction = arguments.text("--direction", "out");
  const auto known = direction_of(direction);
  if (!known || *known == Direction::kBack) {
    arguments.fail("--direction must be out, in or both, not", direction);
  }
  request.direction = *known;
  request.size = arguments.number("--bytes", 0, 1, std::uint64_t{1} << 50);
  request.seed = arguments.number("--seed", std::random_device{}());
  return run(resolve(arguments.text(0), arguments.port(1), family), request, Content(request.seed),
             Content(request.seed + 1), json);
}
