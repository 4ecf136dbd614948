// Many pairs in one loop over a kernel that disturbs calls at random, between far ends that stall,
// half-close, close early and reset. Each stream's bytes are compared at both ends: equal where
// nobody reset, a prefix where somebody did. SLUICE_CHAOS_SEED=N runs one seed only. (What the real
// kernel's timers do is not in the seed.)
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <random>

#include "relay/pair.h"
#include "unit/relay/chaos_kernel.h"
#include "unit/relay/rig.h"

namespace sluice::relay {
namespace {

constexpr std::uint32_t kSeeds = 300;
constexpr int kPairs = 6;
// Turns without a pump until the real kernel's timers are given real time.
constexpr int kQuietTurns = 100;
constexpr Duration kTurn = 200us;  // Of the pairs' clock, which is not the real one.

enum class Ending : std::uint8_t {
  kFin,    // Sends all, half-closes, reads to the end.
  kReset,  // Resets at some point.
  kLeave,  // Closes without reading on.
};

struct FarEnd {
  UniqueFd fd;
  std::string text;
  std::size_t sent = 0;
  bool fin_sent = false;
  Received received;
  Ending ending = Ending::kFin;
  std::uint64_t leaves_after = 0;  // Bytes sent and received, of kReset and kLeave.
  unsigned stall_percent = 0;

  [[nodiscard]] bool gone() const { return !fd.valid(); }
  [[nodiscard]] bool done() const { return gone() || (received.end && (fin_sent || failed())); }
  [[nodiscard]] bool failed() const { return received.end.value_or(0) != 0; }

  void act(std::mt19937& random) {
    if (gone() || random() % 100 < stall_percent) return;
    if (ending != Ending::kFin && sent + received.bytes.size() >= leaves_after) {
      if (ending == Ending::kReset) return reset_connection(fd);
      return fd.reset();
    }
    received.read_from(fd.get(), 1 + random() % 60'000);
    const std::size_t piece = std::min<std::size_t>(text.size() - sent, 1 + random() % 60'000);
    if (piece > 0 && !failed()) {
      const ssize_t more = ::send(fd.get(), text.data() + sent, piece, MSG_NOSIGNAL);
      if (more > 0) sent += static_cast<std::size_t>(more);
      // A peer that left is told of here, and perhaps only here.
      if (more < 0 && errno != EAGAIN) received.end = errno;
    }
    if (sent == text.size() && !fin_sent) {
      ::shutdown(fd.get(), SHUT_WR);
      fin_sent = true;
    }
  }
};

struct Subject {
  Pair pair;
  FarEnd client;
  FarEnd target;
  Transport transport[2] = {Transport::kTcp, Transport::kTcp};
  std::unique_ptr<policy::TokenBucket> bucket;
  int fds[2] = {-1, -1};
  PairStatus status = PairStatus::kMore;
  bool noted = true;  // Something to pump for; the first time there always is.
};

class World {
 public:
  explicit World(std::uint32_t seed)
      : random_(seed),
        kernel_(seed * 7 + 1, static_cast<unsigned>(random_() % 40)),
        pools_(kernel_, options(), 1 + random_() % 6),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < kPairs; ++i) add();
  }
  ~World() {
    for (Subject& subject : subjects_) subject.pair.stop(pools_, StopHow::kClose);
  }

  // False: somebody waited in vain.
  [[nodiscard]] bool run() {
    const Instant limit = clock_now() + 20s;
    while (!all_done()) {
      if (clock_now() > limit) return false;
      turn();
    }
    return true;
  }

  void check() {
    for (Subject& subject : subjects_) {
      compare(subject.client, subject.target);
      compare(subject.target, subject.client);
      if (subject.client.ending != Ending::kFin || subject.target.ending != Ending::kFin) continue;
      EXPECT_TRUE(subject.target.received.bytes == subject.client.text);
      EXPECT_TRUE(subject.client.received.bytes == subject.target.text);
      EXPECT_EQ(subject.client.received.end, 0);
      EXPECT_EQ(subject.target.received.end, 0);
      EXPECT_EQ(subject.pair.bytes_to_target(), subject.client.text.size());
      EXPECT_EQ(subject.pair.bytes_to_client(), subject.target.text.size());
      EXPECT_TRUE(subject.pair.end() == PairEnd::kClientClosed ||
                  subject.pair.end() == PairEnd::kTargetClosed);
    }
    EXPECT_EQ(pools_.buffers().lent(), 0u);
    EXPECT_EQ(pools_.pipes().lent(), 0u);
    EXPECT_EQ(kernel_.open_pipe_ends(), 2 * pools_.pipes().idle());
    // Each event allows a few calls each way, each chunk moved two. A spin would make millions.
    EXPECT_LT(kernel_.calls, 20 * notes_ + 4 * kernel_.disturbed + 10'000);
  }

  [[nodiscard]] std::string describe() const {
    std::string text;
    for (const Subject& s : subjects_) {
      text += fmt::format(
          "status {} client {}+{}/{} fin {} end {} | target {}+{}/{} fin {} end {} | moved {} {} "
          "| over {}{} end {} error {}\n",
          static_cast<int>(s.status), static_cast<int>(s.client.ending), s.client.sent,
          s.client.text.size(), s.client.fin_sent, s.client.received.end.value_or(-1),
          static_cast<int>(s.target.ending), s.target.sent, s.target.text.size(), s.target.fin_sent,
          s.target.received.end.value_or(-1), s.pair.bytes_to_target(), s.pair.bytes_to_client(),
          static_cast<int>(s.transport[0]), static_cast<int>(s.transport[1]),
          static_cast<int>(s.pair.end()), s.pair.error());
    }
    return text;
  }

 private:
  template <typename T>
  [[nodiscard]] T one_of(std::initializer_list<T> values) {
    return values.begin()[random_() % values.size()];
  }
  [[nodiscard]] Options options() {
    return {.mode = Mode::kAuto,
            .buffer_size = one_of<std::size_t>({1024, 8192, 65'536}),
            .pipe_size = one_of<std::size_t>({4096, 65'536, 1'048'576})};
  }

  void prepare(FarEnd& end, UniqueFd fd) {
    end.fd = std::move(fd);
    end.text = pattern(one_of<std::size_t>({0, 10, 5'000, 100'000, 400'000}) + random_() % 50,
                       static_cast<std::uint32_t>(random_()));
    end.ending = one_of({Ending::kFin, Ending::kFin, Ending::kFin, Ending::kReset, Ending::kLeave});
    end.leaves_after = random_() % (end.text.size() + 1);
    end.stall_percent = one_of({0U, 50U, 95U});
  }

  void add() {
    Subject& subject = subjects_.emplace_back();
    UniqueFd near[2];
    for (const int side : {0, 1}) {
      subject.transport[side] = one_of({Transport::kTcp, Transport::kTcp, Transport::kOther});
      Connection made = connection_of(
          subject.transport[side],
          {.near_send = one_of({0, 0, 50'000}), .far_receive = one_of({0, 0, 100'000})});
      prepare(side == 0 ? subject.client : subject.target, std::move(made.far));
      near[side] = std::move(made.near);
      subject.fds[side] = near[side].get();
      epoll_event event{};
      event.events = kPairEvents;
      event.data.u64 = (subjects_.size() - 1) * 2 + static_cast<unsigned>(side);
      EXPECT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, near[side].get(), &event), 0);
    }
    PairOptions options;
    options.mode = one_of({Mode::kAuto, Mode::kAuto, Mode::kCopy, Mode::kSplice});
    options.client = subject.transport[0];
    options.target = subject.transport[1];
    if (random_() % 4 == 0) {
      subject.bucket = std::make_unique<policy::TokenBucket>(20'000'000 + random_() % 100'000'000);
      options.to_target.rule = subject.bucket.get();
      if (random_() % 2 == 0) options.to_client.client = subject.bucket.get();
    }
    const host::TcpOptions plain{.nodelay = false, .keepalive = false};
    subject.pair.start(host::TcpSocket::adopt(sys::KernelFd(kernel_, near[0].release()), plain),
                       host::TcpSocket::adopt(sys::KernelFd(kernel_, near[1].release()), plain),
                       options, pools_);
  }

  void note(Subject& subject, unsigned side, std::uint32_t events) {
    if (subject.status == PairStatus::kEnded) return;
    subject.pair.note(side == 0 ? Side::kClient : Side::kTarget, events);
    subject.noted = true;
    ++notes_;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 &&
        subject.transport[side] == Transport::kTcp) {
      kernel_.told_of_end(subject.fds[side]);
    }
  }

  void turn() {
    now_ += kTurn;
    for (Subject& subject : subjects_) {
      subject.client.act(random_);
      subject.target.act(random_);
    }
    std::array<epoll_event, 4 * kPairs> events;
    const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   quiet_turns_ > kQuietTurns ? 1 : 0);
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      note(subjects_[event.data.u64 / 2], event.data.u64 % 2, event.events);
    }
    for (const ChaosKernel::Late& late : kernel_.next_turn()) {
      for (Subject& subject : subjects_) {
        for (const unsigned side : {0U, 1U}) {
          if (subject.fds[side] == late.fd) note(subject, side, late.events);
        }
      }
    }
    ++quiet_turns_;
    for (Subject& subject : subjects_) pump(subject);
  }

  void pump(Subject& subject) {
    if (subject.status == PairStatus::kEnded) return;
    const bool due = subject.status == PairStatus::kLater && now_ >= subject.pair.resume_at();
    if (!subject.noted && subject.status != PairStatus::kMore && !due) return;
    if (due) ++notes_;
    // Sometimes the owner is busy elsewhere.
    if (random_() % 8 == 0) return;
    subject.noted = false;
    quiet_turns_ = 0;
    const std::uint64_t before = subject.pair.bytes_to_target() + subject.pair.bytes_to_client();
    subject.status = subject.pair.pump(pools_, now_);
    const std::uint64_t after = subject.pair.bytes_to_target() + subject.pair.bytes_to_client();
    if (subject.status == PairStatus::kMore) {
      EXPECT_GT(after, before) << "a share without bytes";
    }
    if (subject.status == PairStatus::kLater) {
      EXPECT_GT(subject.pair.resume_at(), now_);
    }
    if (subject.status == PairStatus::kEnded) subject.fds[0] = subject.fds[1] = -1;
  }

  [[nodiscard]] bool all_done() {
    return std::ranges::all_of(subjects_, [](const Subject& subject) {
      return subject.status == PairStatus::kEnded && subject.client.done() && subject.target.done();
    });
  }

  static void compare(const FarEnd& sender, const FarEnd& receiver) {
    const std::string& got = receiver.received.bytes;
    ASSERT_LE(got.size(), sender.sent);
    EXPECT_TRUE(got == sender.text.substr(0, got.size()));
  }

  std::mt19937 random_;
  ChaosKernel kernel_;
  Pools pools_;
  UniqueFd epoll_;
  std::deque<Subject> subjects_;  // Pairs do not move.
  Instant now_ = Instant{} + 1h;
  std::uint64_t notes_ = 0;
  int quiet_turns_ = 0;  // In a row, without a pump.
};

void run_seed(std::uint32_t seed) {
  SCOPED_TRACE(fmt::format("SLUICE_CHAOS_SEED={}", seed));
  std::signal(SIGPIPE, SIG_IGN);
  World world(seed);
  ASSERT_TRUE(world.run()) << "hangs:\n" << world.describe();
  world.check();
  if (::testing::Test::HasFailure()) ADD_FAILURE() << world.describe();
}

TEST(RelayChaos, EveryStreamArrivesWholeOrIsReset) {
  if (const char* seed = std::getenv("SLUICE_CHAOS_SEED")) {
    return run_seed(static_cast<std::uint32_t>(std::strtoul(seed, nullptr, 10)));
  }
  for (std::uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) run_seed(seed);
}

}  // namespace
}  // namespace sluice::relay
