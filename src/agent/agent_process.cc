#include "agent/agent_process.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "agent/agent_channels.h"
#include "agent/agent_wire.h"
#include "agent/divert.h"
#include "agent/hand_over_socket.h"
#include "base/overloaded.h"
#include "netlink/netlink.h"
#include "sandbox/helper_process.h"
#include "sandbox/sandbox.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"
#include "sys/steady_clock.h"

namespace sluice::agent {
namespace {

// The set-up costs as much time of a processor as the start of a small command, so it comes after
// that. Nobody needs the fast path earlier, and commands that are soon over not at all.
constexpr Duration kBeginAfter = std::chrono::milliseconds(10);

// How long the guest's kernel may take to answer a new socket. It answers within the call that
// asks, unless the processor is so busy that packets wait for a thread of their own (ksoftirqd).
constexpr Duration kAnswerWithin = std::chrono::milliseconds(20);
constexpr Duration kLookEvery = std::chrono::microseconds(100);
// Without connections for so long, the guest's packets are spared our rules.
constexpr Duration kRestAfter = std::chrono::seconds(2);

// Packets that were diverted just before a connection was taken back may still wait for the
// processor that is to deliver them. Its deaf socket outlives them.
constexpr Duration kRetiredFor = std::chrono::milliseconds(250);
constexpr std::size_t kMostRetired = 1024;

// With more connections on their way new orders wait.
constexpr std::size_t kMostUnderWay = 4 * kMostOrders;

// Packets that the engine passes on to new sockets wait here, a window of the guest's or two.
constexpr int kInjectBuffer = 4 << 20;

Instant now() { return sys::steady_now(sys::real_kernel()); }

std::unexpected<sys::SetupError> missing(const char* step, int error) {
  return std::unexpected(sys::SetupError{step, error, ""});
}

// Whole packets into the loopback. Connected to it and bound to it, so that nothing from here can
// leave by the tap, whatever has become of rules and routes.
std::expected<sys::KernelFd, sys::SetupError> open_inject_socket(wire::IpFamily family) {
  const bool v4 = family == wire::IpFamily::kV4;
  const char* const step = v4 ? "raw socket (IPv4)" : "raw socket (IPv6)";
  auto fd =
      sys::open_socket(sys::real_kernel(), sys::address_family(family), SOCK_RAW, IPPROTO_RAW);
  if (!fd) return missing(step, fd.error().error);
  if (const auto bound = sys::bind_to_device(*fd, "lo"); !bound) {
    return missing(step, bound.error().error);
  }
  const wire::IpAddress target = v4 ? sys::from_in_addr({.s_addr = htonl(INADDR_LOOPBACK)})
                                    : sys::from_in6_addr(in6addr_loopback);
  const sys::SocketAddress address = sys::to_sockaddr({target, wire::Port{0}});
  if (::connect(fd->get(), address.get(), address.length) != 0) return missing(step, errno);
  sys::force_buffer(*fd, sys::BufferKind::kSend, kInjectBuffer);
  return std::move(*fd);
}

std::expected<void, sys::SetupError> probe_sockets(wire::IpFamily family) {
  const auto socket = HandOverSocket::make_frozen(family);
  if (socket) return {};
  return missing(family == wire::IpFamily::kV4 ? "TCP_REPAIR with IP_TRANSPARENT"
                                               : "TCP_REPAIR with IPV6_TRANSPARENT",
                 socket.error().error);
}

class Agent {
 public:
  Agent(AgentChannels channels, Divert divert)
      : channels_(std::move(channels)), divert_(std::move(divert)) {}

  // Until the last channel closes.
  void serve();
  void tidy_up() { divert_.remove(); }

 private:
  // A connection on its way.
  struct Job {
    std::size_t worker = 0;  // Who asked, and is answered.
    HandOverOrder order;
    std::optional<HandOverSocket> socket = std::nullopt;
    int error = 0;
    Instant silent_until = {};  // Of a live one: when it counts as unanswered.
    [[nodiscard]] bool failed() const { return error != 0; }
    [[nodiscard]] DivertedConnection name() const {
      return {order.snapshot.peer, order.snapshot.local};
    }
  };
  // What came of a job.
  enum class Outcome : std::uint8_t { kWaiting, kPassedOn, kFailed };

  // The socket of a connection that was taken back.
  struct Retired {
    DivertedConnection name;
    HandOverSocket socket;
    Instant until;
  };

  [[nodiscard]] Duration patience() const;
  void carry_out(std::span<const AgentChannels::Order> orders);
  void repair(std::span<const std::size_t> askers, std::vector<DivertedConnection>& released);
  void make_socket(Job& job);
  void divert(std::span<Job> jobs, std::span<const DivertedConnection> released);
  static void go_live(Job& job);
  // Answers all that can be answered.
  void settle();
  [[nodiscard]] Outcome look_at(Job& job);
  [[nodiscard]] Outcome pass_on(Job& job);
  void take_back(std::span<Job> jobs);
  // False when the connection has to stay, and was passed on after all.
  [[nodiscard]] bool retire(Job& job);
  void forget_retired();
  // The other end is gone; receive() finds out.
  static void ignore(const std::expected<void, sys::SysError>&) {}

  AgentChannels channels_;
  Divert divert_;
  std::vector<Job> under_way_;
  std::deque<Retired> retired_;  // The first to go in front.
};

Duration Agent::patience() const {
  if (!under_way_.empty()) return kLookEvery;
  if (!retired_.empty()) return std::max(retired_.front().until - now(), Duration(0));
  return divert_.can_rest() ? kRestAfter : kForever;
}

void Agent::serve() {
  while (true) {
    const bool idle = under_way_.empty() && retired_.empty();
    const auto orders = channels_.receive(patience());
    if (!orders) return;
    if (orders->empty() && idle) divert_.rest();
    forget_retired();
    carry_out(*orders);
    settle();
    while (under_way_.size() > kMostUnderWay) {
      constexpr timespec kPause{.tv_sec = 0, .tv_nsec = kLookEvery.count()};
      ::nanosleep(&kPause, nullptr);
      settle();
    }
  }
}

void Agent::carry_out(std::span<const AgentChannels::Order> orders) {
  std::vector<DivertedConnection> released;
  std::vector<std::size_t> repairs;  // Who asked for one.
  const std::size_t before = under_way_.size();
  for (const auto& [worker, order] : orders) {
    std::visit(Overloaded{
                   [&, who = worker](const HandOverOrder& o) {
                     under_way_.push_back({.worker = who, .order = o});
                   },
                   [&](const ReleaseOrder& o) { released.push_back({o.guest, o.remote}); },
                   [&, who = worker](const RepairOrder&) { repairs.push_back(who); },
                   [](const HurryOrder&) {},  // It has been ready all along.
               },
               order);
  }
  // Repairs come before hand-overs: those who ask for one have seen that nothing works.
  if (!repairs.empty()) repair(repairs, released);
  const std::span<Job> jobs = std::span(under_way_).subspan(before);
  for (Job& job : jobs) make_socket(job);
  divert(jobs, released);
  for (Job& job : jobs) go_live(job);
}

// All that is asked at once is done once: everything is put back, whoever misses it.
void Agent::repair(std::span<const std::size_t> askers, std::vector<DivertedConnection>& released) {
  (void)divert_.change(released, {});
  released.clear();
  const auto done = divert_.repair();
  for (const std::size_t worker : askers) {
    ignore(send_repaired(channels_.fd(worker), done ? 0 : done.error().error));
  }
}

void Agent::make_socket(Job& job) {
  if (now() >= job.order.deadline) {
    job.error = ETIMEDOUT;
    return;
  }
  std::erase_if(retired_, [&](const Retired& each) { return each.name == job.name(); });
  auto socket = HandOverSocket::make(job.order.snapshot);
  if (socket) {
    job.socket = std::move(*socket);
  } else {
    job.error = socket.error().error;
  }
}

// One transaction for all of them.
void Agent::divert(std::span<Job> jobs, std::span<const DivertedConnection> released) {
  std::vector<DivertedConnection> added;
  for (const Job& job : jobs) {
    if (!job.failed()) added.push_back(job.name());
  }
  if (added.empty() && released.empty()) return;
  const std::vector<int> errors = divert_.change(released, added);
  auto error = errors.begin();
  for (Job& job : jobs) {
    if (job.failed()) continue;
    job.error = *error++;
    if (job.failed()) job.socket.reset();
  }
}

void Agent::go_live(Job& job) {
  if (job.failed()) return;
  const Instant start = now();
  if (start >= job.order.deadline) {
    job.error = ETIMEDOUT;
    return;
  }
  job.silent_until = std::min(start + kAnswerWithin, job.order.deadline);
  if (const auto live = job.socket->go_live(); !live) job.error = live.error().error;
}

void Agent::settle() {
  std::vector<Job> failed;
  const auto is_over = [&](Job& job) {
    const Outcome outcome = look_at(job);
    if (outcome == Outcome::kFailed) failed.push_back(std::move(job));
    return outcome != Outcome::kWaiting;
  };
  std::erase_if(under_way_, is_over);
  if (!failed.empty()) take_back(failed);
}

Agent::Outcome Agent::look_at(Job& job) {
  if (job.failed()) return Outcome::kFailed;
  const auto [progress, has_received] = job.socket->state();
  // The guest counts on bytes that were taken: late is better than back.
  if (has_received) return pass_on(job);
  if (progress == HandOverSocket::Progress::kDead) {
    job.error = job.socket->take_error();
    return Outcome::kFailed;
  }
  const Instant time = now();
  const bool answered = progress == HandOverSocket::Progress::kAnswered;
  if (answered && time < job.order.deadline) return pass_on(job);
  if (!answered && time < job.silent_until) return Outcome::kWaiting;
  job.error = ETIMEDOUT;
  return Outcome::kFailed;
}

Agent::Outcome Agent::pass_on(Job& job) {
  const auto sent = send_handed_over(channels_.fd(job.worker), job.order.tag, job.socket->fd());
  if (sent) {
    // It lives on by the descriptor that is on its way.
    job.socket->release().reset();
    return Outcome::kPassedOn;
  }
  job.error = sent.error().error;
  return Outcome::kFailed;
}

// The guest's packets go by the tap again before the socket vanishes: without one, the guest's
// kernel would answer them with a reset.
void Agent::take_back(std::span<Job> jobs) {
  std::vector<DivertedConnection> names;
  for (const Job& job : jobs) {
    if (job.socket) names.push_back(job.name());
  }
  if (!names.empty()) (void)divert_.change(names, {});
  for (Job& job : jobs) {
    if (job.socket && !retire(job)) continue;
    ignore(send_refused(channels_.fd(job.worker), job.order.tag, job.error));
  }
}

bool Agent::retire(Job& job) {
  const DivertedConnection name = job.name();
  // In the meantime it may have taken bytes of the guest's, also while it was frozen; then it
  // stays. It must not take any more between the look and its end.
  (void)job.socket->deafen();
  if (job.socket->state().has_received && job.socket->hear() && job.socket->go_live() &&
      divert_.change({}, {&name, 1}).front() == 0 && pass_on(job) == Outcome::kPassedOn) {
    return false;
  }
  if (retired_.size() == kMostRetired) retired_.pop_front();
  retired_.push_back({name, std::move(*job.socket), now() + kRetiredFor});
  return true;
}

void Agent::forget_retired() {
  while (!retired_.empty() && retired_.front().until <= now()) retired_.pop_front();
}

// Of one worker, which has its own: what the kernel keeps for a socket is not shared then.
struct InjectSockets {
  sys::KernelFd v4;
  sys::KernelFd v6;
};

std::expected<InjectSockets, sys::SetupError> open_inject_sockets(
    std::span<const wire::IpFamily> families) {
  InjectSockets sockets;
  for (const wire::IpFamily family : families) {
    auto opened = open_inject_socket(family);
    if (!opened) return std::unexpected(opened.error());
    (family == wire::IpFamily::kV4 ? sockets.v4 : sockets.v6) = std::move(*opened);
  }
  return sockets;
}

std::expected<Agent, sys::SetupError> set_up(AgentChannels& channels, const AgentContext& context,
                                             sandbox::SeccompMode mode) {
  std::vector<wire::IpFamily> families;
  if (context.ipv4) families.push_back(wire::IpFamily::kV4);
  if (context.ipv6) families.push_back(wire::IpFamily::kV6);
  for (const wire::IpFamily family : families) {
    if (auto done = probe_sockets(family); !done) return std::unexpected(done.error());
  }
  const auto index = netlink::interface_index(context.interface);
  if (!index) {
    return std::unexpected(
        sys::SetupError{"find interface " + context.interface, index.error().error, ""});
  }
  auto divert = Divert::set_up(*index, families);
  if (!divert) return std::unexpected(divert.error());
  std::vector<InjectSockets> inject;  // By worker.
  while (inject.size() < channels.size()) {
    auto opened = open_inject_sockets(families);
    if (!opened) return std::unexpected(opened.error());
    inject.push_back(std::move(*opened));
  }
  if (auto done = sandbox::enter_agent_sandbox(mode); !done) return std::unexpected(done.error());
  for (std::size_t worker = 0; worker < channels.size(); ++worker) {
    const auto sent =
        send_ready(channels.fd(worker), inject[worker].v4.get(), inject[worker].v6.get());
    if (sent) continue;
    // The others have theirs. One that is gone already misses nothing.
    (void)send_missing(channels.fd(worker), {"pass the raw sockets on", sent.error().error, ""});
  }
  return Agent(std::move(channels), std::move(*divert));
}

}  // namespace

void run_guest_agent(AgentContext context) {
  const sandbox::SeccompMode mode = sandbox::seccomp_mode_from_environment();
  AgentChannels channels(sandbox::stand_alone(std::move(context.channels), "sluice-agent", mode));
  if (!channels.await_news(kBeginAfter)) ::_exit(0);
  auto agent = set_up(channels, context, mode);
  if (agent) {
    agent->serve();
    if (context.tidies_up) agent->tidy_up();
  } else {
    for (std::size_t worker = 0; worker < channels.size(); ++worker) {
      (void)send_missing(channels.fd(worker), agent.error());
    }
  }
  ::_exit(0);
}

}  // namespace sluice::agent
