#include "serve/server.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "link/pcap_tee.h"
#include "netns/namespaces.h"
#include "sandbox/sandbox.h"
#include "serve/preparation.h"
#include "sys/event_loop.h"
#include "sys/fd_limit.h"
#include "sys/random.h"
#include "telemetry/log.h"
#include "telemetry/text.h"

namespace sluice::serve {
namespace {

// When people begin to wonder why we have not ended yet.
constexpr Duration kTellAfter = std::chrono::seconds(5);
// What our own descriptor of signals is called; the guest's places follow.
constexpr std::uint32_t kSignals = 0;
constexpr std::uint32_t kGuest = 1;

[[nodiscard]] std::string connections(std::size_t count) {
  return count == 1 ? "1 connection" : fmt::format("{} connections", count);
}

void tell_left(const driver::Undelivered& left) {
  telemetry::log_warn(
      "the guest has ended; {} still {} to be delivered, at least {} (SIGINT gives them up)",
      connections(left.flows), left.flows == 1 ? "has bytes" : "have bytes",
      telemetry::human_bytes(left.bytes));
}

void tell_given_up(const std::vector<flow::TcpFlows::GivenUp>& given_up) {
  if (given_up.empty()) return;
  constexpr std::size_t kNamedMax = 4;
  std::string whom;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < given_up.size(); ++i) {
    bytes += given_up[i].bytes;
    if (i >= kNamedMax) continue;
    whom += fmt::format("{}{}", i == 0 ? "" : ", ", wire::to_string(given_up[i].key.remote));
  }
  if (given_up.size() > kNamedMax) whom += fmt::format(" and {} more", given_up.size() - kNamedMax);
  telemetry::log_warn(
      "{} reset before all that the guest sent was delivered; at least {} are missing: {}",
      connections(given_up.size()) + (given_up.size() == 1 ? " was" : " were"),
      telemetry::human_bytes(bytes), whom);
}

[[nodiscard]] flow::EngineSeeds draw_seeds() {
  const auto seeds = sys::draw_random<flow::EngineSeeds>();
  if (!seeds) {
    telemetry::log_error("getrandom: {}", std::strerror(errno));
    std::abort();
  }
  return *seeds;
}

// A connection from outside has up to two descriptors, so a quarter of them as connections is half
// of them at most: the rest is for what the guest begins.
[[nodiscard]] std::uint32_t inbound_streams(std::uint64_t descriptor_limit) {
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      descriptor_limit / 4, 1, std::numeric_limits<std::uint32_t>::max()));
}

[[nodiscard]] flow::EngineOptions engine_options(const ServePlan& plan,
                                                 const flow::GuestNetwork& network,
                                                 const wire::LinkFeatures& link) {
  return {.network = network,
          .link = link,
          .policy = policy::Policy(plan.deny, plan.allow),
          .limits = plan.limits,
          .max_inbound_streams = inbound_streams(sys::fd_soft_limit()),
          .host_loopback = plan.host_loopback,
          .host_addresses =
              plan.host_addresses ? policy::HostAddresses::kOpen : policy::HostAddresses::kRefused,
          .nat64_prefixes = plan.nat64_prefixes,
          .tcp = {}};
}

[[nodiscard]] std::unique_ptr<link::Link> with_capture(std::unique_ptr<link::Link> link,
                                                       Outputs& outputs) {
  auto file = outputs.take_pcap();
  if (!file) return link;
  return std::make_unique<link::PcapTee>(
      std::move(link), std::move(*file), [](const sys::SysError& error) {
        telemetry::log_warn("--pcap: writing failed, the capture ends here: {}",
                            sys::errno_text(error.error));
      });
}

[[nodiscard]] driver::WorkerOptions worker_options(const ServePlan& plan, Preparation& prepared,
                                                   GuestEnds ends, Outputs& outputs) {
  flow::EngineOptions engine =
      engine_options(plan, prepared.network, ends.links.front()->features());
  const bool always = plan.fast_path == policy::FastPathUse::kRequire;
  return {.link = with_capture(std::move(ends.links.front()), outputs),
          .engine = std::move(engine),
          .seeds = draw_seeds(),
          .published = std::move(prepared.published),
          .resolvers = std::move(prepared.resolvers),
          .addresses = std::move(prepared.addresses),
          .agent = ends.agents.empty() ? agent::GuestAgent() : std::move(ends.agents.front()),
          .hand_overs = {.when = always ? flow::HandOverWhen::kAlways : flow::HandOverWhen::kLong,
                         .descriptor_limit = sys::fd_soft_limit()},
          .outbound = plan.outbound,
          .keep_report = outputs.wants_report(),
          .flow_log = outputs.take_flow_log()};
}

[[nodiscard]] int refused(const std::string& why) {
  telemetry::log_error("{}", why);
  return netns::kExitSetupFailed;
}

}  // namespace

int serve(const ServePlan& plan, Outputs outputs, Guest& guest) {
  auto prepared = prepare(plan, guest.signals());
  if (!prepared) return refused(prepared.error());
  const GuestSetting setting{.network = prepared->network,
                             .resolver_options = prepared->resolvers.current().options,
                             .fast_path = plan.fast_path,
                             .workers = plan.workers,
                             .signals = prepared->signals.saved(),
                             .descriptor_limit = prepared->descriptor_limit};
  if (const auto begun = guest.begin(setting); !begun) return refused(begun.error().describe());

  sys::Kernel& kernel = sys::real_kernel();
  auto loop = sys::EventLoop::create(kernel);
  auto ends = guest.await(kernel);
  if (!ends) return refused(ends.error().describe());
  if (!loop) return refused(loop.error().describe());
  driver::Worker worker(kernel, *loop, worker_options(plan, *prepared, std::move(*ends), outputs));
  if (const auto begun = worker.begin(); !begun) return refused(begun.error().describe());
  if (plan.fast_path == policy::FastPathUse::kRequire) {
    if (const auto ready = worker.await_fast_path(); !ready) {
      return refused("--fast-path=require: " + ready.error().describe());
    }
  }
  if (const auto started = guest.start(); !started) return refused(started.error().describe());
  if (const auto safe =
          sandbox::enter_sandbox(sandbox::seccomp_mode_from_environment(), guest.signalled());
      !safe) {
    guest.kill();
    return refused(safe.error().describe());
  }
  const auto status = Server(worker, guest, prepared->signals).run();
  if (!status) {
    guest.kill();
    return refused(status.error().describe());
  }
  if (const auto& failure = guest.failure()) telemetry::log_error("{}", failure->describe());
  outputs.finish(worker.snapshot());
  return *status;
}

std::expected<void, sys::SysError> Server::watch_all() {
  if (auto watched = worker_.watch(signals_.fd(), kSignals); !watched) return watched;
  watched_.assign(guest_.descriptors().size(), -1);
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (auto watched = watch(i); !watched) return watched;
  }
  return {};
}

std::expected<void, sys::SysError> Server::watch(std::size_t place) {
  watched_[place] = guest_.descriptors()[place];
  if (watched_[place] < 0) return {};
  return worker_.watch(watched_[place], static_cast<std::uint32_t>(kGuest + place));
}

std::expected<int, sys::SysError> Server::run() {
  if (auto watched = watch_all(); !watched) return std::unexpected(watched.error());
  while (!guest_.exit_status()) worker_.turn(kNever, *this);
  drain();
  tell_given_up(worker_.finish());
  return *guest_.exit_status();
}

void Server::on_ready(std::uint32_t number) {
  if (number == kSignals) {
    on_signals();
  } else {
    on_guest(number - kGuest);
  }
}

void Server::on_guest(std::size_t place) {
  if (watched_[place] >= 0) worker_.unwatch(watched_[place]);  // Before the guest closes it.
  guest_.on_ready(place);
  // It had its place among the watches a moment ago. Where somebody else has it now, the guest's
  // end is still seen by SIGCHLD.
  (void)watch(place);
}

// The guest has ended, and what it left in sockets is delivered for as long as its kernel would.
void Server::drain() {
  on_signals();  // Those that came before the end were the guest's.
  draining_ = true;
  worker_.begin_drain(*this);
  if (guest_.goes_on()) worker_.close_link();
  Instant tell_at = worker_.now() + kTellAfter;
  while (!abandoned_) {
    const driver::Undelivered left = worker_.undelivered();
    Instant now = worker_.now();
    if (left.flows == 0 && !left.late_resets) return;
    if (left.flows > 0 && now >= tell_at) {
      tell_at = kNever;
      tell_left(left);
    }
    do {
      worker_.turn(std::min(left.until, left.flows > 0 ? tell_at : kNever), *this);
      now = worker_.now();
    } while (now < left.look_again && !abandoned_);
  }
}

void Server::on_signals() {
  while (const auto info = signals_.read()) {
    if (info->ssi_signo == SIGUSR1) {
      std::fputs(telemetry::status_text(worker_.snapshot(), guest_.program()).c_str(), stderr);
    } else if (draining_) {
      abandoned_ = abandoned_ || info->ssi_signo == SIGINT || info->ssi_signo == SIGTERM;
    } else {
      guest_.on_signal(*info);
    }
  }
}

}  // namespace sluice::serve
