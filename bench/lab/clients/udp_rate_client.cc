// Sends datagrams of one size one way, as fast as they go or at a rate, and asks the lab server
// how many of them arrived.
//
// With a rate, each batch has its due time; a sender that falls behind catches up, so that the
// rate offered is the rate asked for as long as the machine can.
#include <fmt/core.h>

#include <random>

#include "clients/latency_options.h"
#include "clients/sockets.h"
#include "clients/udp_sink.h"

namespace sluice::bench {
namespace {

const char* const kSynopsis =
    "udp-rate-client HOST PORT CONTROL-PORT [--size BYTES] [--seconds S] [--rate R] [--batch N] "
    "[--family 4|6] [--json]";
const char* const kHelp = R"(
UDP one way: sends datagrams to a --udp-sink port of the lab server, and asks its --control port
afterwards how many came, once that number stands still.

Options:
  --size BYTES     of a datagram's payload, 16 to 65507 (default 1400)
  --seconds S      to send for (default 3)
  --rate R         datagrams a second, on a schedule (default: as fast as they go)
  --batch N        datagrams in one sendmmsg, 1 to 1024 (default 32)
  --family 4|6     the address to use where HOST is a name that has both
  --json           is accepted, as by every client: there is no other form

JSON: sent, send_blocked (batches that the sender's own queue refused), seconds (of sending), size,
rate_per_s (sent), offered_per_s (what --rate asked for, else 0), and sink with received, bytes,
reordered, highest and seconds (first to last arrival).

Exit status: 0; 1 when the measurement could not be made; 2 for a wrong command line.

Example:
  lab-server --udp-sink 7011 --control 7012 &
  udp-rate-client 10.0.0.2 7011 7012 --size 1400 --seconds 3
)";

struct Plan {
  std::size_t size = 1400;
  std::size_t batch = 32;
  std::uint64_t duration_ns = 0;
  std::uint64_t rate = 0;  // Datagrams a second; 0 is no limit.
};

struct Sent {
  std::uint64_t datagrams = 0;
  std::uint64_t refused = 0;  // ENOBUFS: the sender's own queue was full.
  std::uint64_t elapsed_ns = 0;
};

class Sender {
 public:
  Sender(const Address& server, const Plan& plan, std::uint64_t run)
      : plan_(plan),
        run_(run),
        payload_(plan.size * plan.batch, 'x'),
        parts_(plan.batch),
        messages_(plan.batch) {
    fd_ = open_socket(server.family(), SOCK_DGRAM);
    if (::connect(fd_.get(), server.get(), server.length) != 0) die("connect");
    for (std::size_t i = 0; i < plan.batch; ++i) {
      parts_[i] = {payload_.data() + i * plan.size, plan.size};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  Sent run() {
    Sent sent;
    const std::uint64_t started = now_ns();
    while (true) {
      const std::uint64_t elapsed = now_ns() - started;
      if (elapsed >= plan_.duration_ns) break;
      if (plan_.rate > 0) wait_until(started + sent.datagrams * 1'000'000'000U / plan_.rate);
      send_batch(sent);
    }
    sent.elapsed_ns = now_ns() - started;
    return sent;
  }

 private:
  static void wait_until(std::uint64_t due_ns) {
    const timespec due{static_cast<time_t>(due_ns / 1'000'000'000U),
                       static_cast<long>(due_ns % 1'000'000'000U)};
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
  }

  void send_batch(Sent& sent) {
    for (std::size_t i = 0; i < plan_.batch; ++i) {
      const SinkHeader header{run_, sent.datagrams + i};
      std::memcpy(parts_[i].iov_base, &header, sizeof header);
    }
    const int count =
        ::sendmmsg(fd_.get(), messages_.data(), static_cast<unsigned>(plan_.batch), 0);
    if (count > 0) sent.datagrams += static_cast<std::uint64_t>(count);
    if (count < 0 && errno == ENOBUFS) ++sent.refused;
    if (count < 0 && errno != ENOBUFS) die("sendmmsg");
  }

  Plan plan_;
  std::uint64_t run_;
  UniqueFd fd_;
  std::vector<char> payload_;
  std::vector<iovec> parts_;
  std::vector<mmsghdr> messages_;
};

std::string ask_sink(int control, std::uint64_t run) {
  const std::string question = "run " + std::to_string(run) + "\n";
  send_all(control, question.data(), question.size());
  std::string line;
  char c = 0;
  while (c != '\n') {
    receive_all(control, &c, 1);
    if (c != '\n') line += c;
  }
  return line;
}

// Datagrams may still be on their way: asks until the count stands still.
std::string ask_until_settled(int control, std::uint64_t run) {
  std::string last;
  for (int attempt = 0; attempt < 50; ++attempt) {
    const std::string now = ask_sink(control, run);
    if (now == last) return now;
    last = now;
    ::timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return last;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const Arguments arguments(argc, argv, {kSynopsis, kHelp + 1},
                            {"--size", "--seconds", "--rate", "--batch", "--family"}, {"--json"});
  arguments.require_positional(3);
  Plan plan;
  plan.size = arguments.number("--size", plan.size, sizeof(SinkHeader), 65507);
  plan.batch = arguments.number("--batch", plan.batch, 1, 1024);
  if (arguments.has("--rate")) plan.rate = arguments.number("--rate", 0, 1, 1'000'000'000);
  plan.duration_ns = arguments.number("--seconds", 3, 1, 1'000'000) * 1'000'000'000U;

  const int family = family_option(arguments);
  const Address sink = resolve(arguments.text(0), arguments.port(1), family);
  const Address control_address = resolve(arguments.text(0), arguments.port(2), family);
  const sluice::UniqueFd control = open_stream(control_address.family());
  connect_stream(control.get(), control_address);

  const std::uint64_t run = std::random_device{}() | 1U;
  const Sent sent = Sender(sink, plan, run).run();
  const std::string received = ask_until_settled(control.get(), run);
  const double seconds = static_cast<double>(sent.elapsed_ns) / 1e9;
  fmt::print(
      "{{\"sent\":{},\"send_blocked\":{},\"seconds\":{:.6f},\"size\":{},\"rate_per_s\":{:.1f},"
      "\"offered_per_s\":{},\"sink\":{}}}\n",
      sent.datagrams, sent.refused, seconds, plan.size,
      static_cast<double>(sent.datagrams) / seconds, plan.rate, received);
}
