#include "host/guest_agent_process.h"

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
#include <optional>
#include <span>
#include <vector>

#include "host/close_descriptors.h"
#include "host/divert.h"
#include "host/guest_agent_wire.h"
#include "host/hand_over_socket.h"
#include "host/netlink.h"
#include "host/sandbox.h"
#include "host/sockaddr.h"

namespace sluice::host {
namespace {

// How long the guest's kernel may take to answer a new socket. It answers within the call that
// asks, but for a processor that is busy with other packets.
constexpr Duration kAnswerWithin = std::chrono::milliseconds(2);
constexpr Duration kLookEvery = std::chrono::microseconds(100);

// Packets that the engine passes on to new sockets wait here, a window of the guest's or two.
constexpr int kInjectBuffer = 4 << 20;

Instant now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

// Alone: with no descriptor, terminal or signal of the process that we were a copy of.
UniqueFd stand_alone(UniqueFd channel, SeccompMode mode) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "sluice-agent");
  // What the terminal or the guest sends to the whole group is not for us.
  ::setsid();
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  UniqueFd kept(::fcntl(channel.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  channel.reset();
  close_descriptors_but(kept.get());
  // Pipes that we inherited must not wait for us. Those who look for a bug want to read of it.
  const int last = mode == SeccompMode::kKill ? STDERR_FILENO : STDOUT_FILENO;
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = STDIN_FILENO; fd <= last && nothing.valid(); ++fd) ::dup2(nothing.get(), fd);
  return kept;
}

std::unexpected<SetupError> missing(const char* step, std::string hint = "") {
  return std::unexpected(SetupError{step, errno, std::move(hint)});
}

// Whole packets into the loopback. Connected to it and bound to it, so that nothing from here can
// leave by the tap, whatever has become of rules and routes.
std::expected<UniqueFd, SetupError> open_inject_socket(wire::IpFamily family) {
  const bool v4 = family == wire::IpFamily::kV4;
  const char* const step = v4 ? "raw socket (IPv4)" : "raw socket (IPv6)";
  UniqueFd fd(
      ::socket(address_family(family), SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!fd.valid()) return missing(step);
  constexpr char kLoopback[] = "lo";
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, kLoopback, sizeof kLoopback) != 0) {
    return missing(step);
  }
  const wire::IpAddress target =
      v4 ? from_in_addr({.s_addr = htonl(INADDR_LOOPBACK)}) : from_in6_addr(in6addr_loopback);
  const SocketAddress address = to_sockaddr({target, wire::Port{0}});
  if (::connect(fd.get(), address.get(), address.length) != 0) return missing(step);
  // The second one obeys a limit of the system's and needs no privileges outside.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kInjectBuffer, sizeof kInjectBuffer) !=
      0) {
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kInjectBuffer, sizeof kInjectBuffer);
  }
  return fd;
}

std::expected<void, SetupError> probe_sockets(wire::IpFamily family) {
  const auto socket = HandOverSocket::make_frozen(family);
  if (socket) return {};
  return std::unexpected(SetupError{family == wire::IpFamily::kV4
                                        ? "TCP_REPAIR with IP_TRANSPARENT"
                                        : "TCP_REPAIR with IPV6_TRANSPARENT",
                                    socket.error().error, ""});
}

class Agent {
 public:
  Agent(UniqueFd channel, Divert divert)
      : channel_(std::move(channel)), divert_(std::move(divert)) {}

  // Until the channel closes.
  void serve();

 private:
  // A connection on its way.
  struct Job {
    const HandOverOrder* order;
    std::optional<HandOverSocket> socket;
    int error = 0;
    [[nodiscard]] bool failed() const { return error != 0; }
    [[nodiscard]] DivertedConnection name() const {
      return {order->snapshot.peer, order->snapshot.local};
    }
  };

  void carry_out(std::span<const AgentOrder> orders);
  void make_sockets(std::vector<Job>& jobs);
  void divert(std::vector<Job>& jobs, std::span<const DivertedConnection> released);
  void go_live(std::vector<Job>& jobs);
  void await_answers(std::vector<Job>& jobs);
  void answer(std::vector<Job>& jobs);
  void take_back(std::vector<Job>& jobs);
  // Of a socket that is live. Not failed() afterwards when it was sent.
  void pass_on(Job& job);
  // The other end is gone; serve() finds out.
  static void ignore(const std::expected<void, SysError>&) {}

  UniqueFd channel_;
  Divert divert_;
};

void Agent::serve() {
  while (const auto orders = receive_orders(channel_.get())) carry_out(*orders);
}

void Agent::carry_out(std::span<const AgentOrder> orders) {
  std::vector<Job> jobs;
  std::vector<DivertedConnection> released;
  std::size_t repairs = 0;
  for (const AgentOrder& order : orders) {
    if (const auto* hand_over = std::get_if<HandOverOrder>(&order); hand_over != nullptr) {
      jobs.push_back({hand_over, std::nullopt});
    } else if (const auto* release = std::get_if<ReleaseOrder>(&order); release != nullptr) {
      released.push_back({release->guest, release->remote});
    } else {
      ++repairs;
    }
  }
  // Repairs come before hand-overs: those who ask for one have seen that nothing works.
  if (repairs > 0) {
    (void)divert_.change(released, {});
    released.clear();
  }
  for (; repairs > 0; --repairs) {
    const auto done = divert_.repair();
    ignore(send_repaired(channel_.get(), done ? 0 : done.error().error));
  }
  make_sockets(jobs);
  divert(jobs, released);
  go_live(jobs);
  await_answers(jobs);
  answer(jobs);
}

void Agent::make_sockets(std::vector<Job>& jobs) {
  for (Job& job : jobs) {
    if (now() >= job.order->deadline) {
      job.error = ETIMEDOUT;
      continue;
    }
    auto socket = HandOverSocket::make(job.order->snapshot);
    if (socket) {
      job.socket = std::move(*socket);
    } else {
      job.error = socket.error().error;
    }
  }
}

void Agent::divert(std::vector<Job>& jobs, std::span<const DivertedConnection> released) {
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

void Agent::go_live(std::vector<Job>& jobs) {
  for (Job& job : jobs) {
    if (job.failed()) continue;
    if (now() >= job.order->deadline) {
      job.error = ETIMEDOUT;
    } else if (const auto live = job.socket->go_live(); !live) {
      job.error = live.error().error;
    }
  }
}

void Agent::await_answers(std::vector<Job>& jobs) {
  const auto is_silent = [](const Job& job) {
    return !job.failed() && job.socket->state().progress == HandOverSocket::Progress::kSilent;
  };
  const Instant until = now() + kAnswerWithin;
  while (std::ranges::any_of(jobs, is_silent) && now() < until) {
    constexpr timespec kPause{.tv_sec = 0, .tv_nsec = kLookEvery.count()};
    ::nanosleep(&kPause, nullptr);
  }
}

void Agent::answer(std::vector<Job>& jobs) {
  for (Job& job : jobs) {
    if (job.failed()) continue;
    const auto [progress, has_received] = job.socket->state();
    if (progress == HandOverSocket::Progress::kDead) {
      job.error = job.socket->take_error();
    } else if (has_received) {
      // The guest counts on these bytes: late is better than back.
      pass_on(job);
    } else if (progress == HandOverSocket::Progress::kSilent || now() >= job.order->deadline) {
      job.error = ETIMEDOUT;
    } else {
      pass_on(job);
    }
  }
  take_back(jobs);
}

void Agent::pass_on(Job& job) {
  const auto sent = send_handed_over(channel_.get(), job.order->tag, job.socket->fd());
  if (sent) {
    // The receiver's descriptor keeps it open; ours must not freeze it.
    (void)job.socket->release();
  } else {
    job.error = sent.error().error;
  }
}

// The guest's packets go by the tap again before the socket vanishes: without one, the guest's
// kernel would answer them with a reset.
void Agent::take_back(std::vector<Job>& jobs) {
  std::vector<DivertedConnection> names;
  for (const Job& job : jobs) {
    if (job.failed() && job.socket) names.push_back(job.name());
  }
  if (!names.empty()) (void)divert_.change(names, {});
  for (Job& job : jobs) {
    if (!job.failed()) continue;
    if (job.socket) {
      const auto [progress, has_received] = job.socket->state();
      if (has_received && progress != HandOverSocket::Progress::kDead) {
        // In the meantime it took bytes of the guest's, so it stays.
        const DivertedConnection name = job.name();
        const int error = divert_.change({}, {&name, 1}).front();
        if (error == 0) {
          job.error = 0;
          pass_on(job);
          if (!job.failed()) continue;
        }
      }
      job.socket.reset();
    }
    ignore(send_refused(channel_.get(), job.order->tag, job.error));
  }
}

std::expected<Agent, SetupError> set_up(UniqueFd& channel, const AgentContext& context,
                                        SeccompMode mode) {
  std::vector<wire::IpFamily> families;
  if (context.ipv4) families.push_back(wire::IpFamily::kV4);
  if (context.ipv6) families.push_back(wire::IpFamily::kV6);
  for (const wire::IpFamily family : families) {
    if (auto done = probe_sockets(family); !done) return std::unexpected(done.error());
  }
  const auto index = interface_index(context.interface);
  if (!index) {
    return std::unexpected(
        SetupError{"find interface " + context.interface, index.error().error, ""});
  }
  auto divert = Divert::set_up(*index, families);
  if (!divert) return std::unexpected(divert.error());
  std::array<UniqueFd, 2> inject;  // IPv4, IPv6.
  for (const wire::IpFamily family : families) {
    auto opened = open_inject_socket(family);
    if (!opened) return std::unexpected(opened.error());
    inject[family == wire::IpFamily::kV4 ? 0 : 1] = std::move(*opened);
  }
  if (auto done = enter_agent_sandbox(mode); !done) return std::unexpected(done.error());
  if (auto sent = send_ready(channel.get(), inject[0].get(), inject[1].get()); !sent) {
    return std::unexpected(SetupError{"pass the raw sockets on", sent.error().error, ""});
  }
  return Agent(std::move(channel), std::move(*divert));
}

}  // namespace

void run_guest_agent(AgentContext context) {
  const SeccompMode mode = seccomp_mode_from_environment();
  UniqueFd channel = stand_alone(std::move(context.channel), mode);
  auto agent = set_up(channel, context, mode);
  if (agent) {
    agent->serve();
  } else {
    (void)send_missing(channel.get(), agent.error());
  }
  ::_exit(0);
}

}  // namespace sluice::host
