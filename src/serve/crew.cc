#include "serve/crew.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "sys/kernel.h"
#include "sys/process_limits.h"
#include "sys/random.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

// Who asks people says when their time is over, for all flows of a question together.
constexpr Duration kAnswerSlack = std::chrono::seconds(10);

template <typename Secrets>
[[nodiscard]] Secrets draw_secrets() {
  const auto secrets = sys::draw_random<Secrets>();
  if (!secrets) {
    telemetry::log_error("getrandom: {}", std::strerror(errno));
    std::abort();
  }
  return *secrets;
}

// A connection from outside has up to two descriptors, so a quarter of them as connections is half
// of them at most: the rest is for what the guest begins.
[[nodiscard]] std::uint32_t inbound_streams(std::uint64_t descriptor_limit) {
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      descriptor_limit / 4, 1, std::numeric_limits<std::uint32_t>::max()));
}

[[nodiscard]] std::unique_ptr<const policy::EgressPolicy> compiled(
    const policy::EgressDraft& draft) {
  auto policy = policy::EgressPolicy::compile(draft);
  if (!policy) {
    telemetry::log_error("the policy: {}", policy.error());
    std::abort();
  }
  return std::make_unique<const policy::EgressPolicy>(std::move(*policy));
}

[[nodiscard]] flow::EngineOptions engine_options(const ServePlan& plan,
                                                 const policy::EgressPolicy& policy,
                                                 const flow::GuestNetwork& network,
                                                 const wire::LinkFeatures& link) {
  return {.network = network,
          .link = link,
          .policy = policy.addresses(),
          .egress = &policy,
          .audit = plan.audit,
          .limits = plan.limits,
          .max_inbound_streams = inbound_streams(sys::fd_soft_limit()),
          .host_loopback = plan.host_loopback,
          .host_addresses =
              plan.host_addresses ? policy::HostAddresses::kOpen : policy::HostAddresses::kRefused,
          .nat64_prefixes = plan.nat64_prefixes,
          .tcp = {}};
}

}  // namespace

struct Crew::Making {
  const ServePlan& plan;
  Preparation& prepared;
  Outputs& outputs;
  GuestEnds ends;
  flow::EngineSeeds seeds;
  std::vector<driver::PublishedPorts> published{};  // For each worker.
  bool reports = false;                             // Somebody wants to hear of flows that end.

  [[nodiscard]] std::uint32_t workers() const {
    return static_cast<std::uint32_t>(ends.links.size());
  }
};

std::expected<std::unique_ptr<Crew>, sys::SysError> Crew::hire(const ServePlan& plan,
                                                               Preparation& prepared,
                                                               GuestEnds ends, Outputs& outputs) {
  auto loop = sys::EventLoop::create(sys::real_kernel());
  if (!loop) return std::unexpected(loop.error());
  std::unique_ptr<Crew> crew(new Crew(compiled(plan.policy), std::move(*loop)));
  Making making{.plan = plan,
                .prepared = prepared,
                .outputs = outputs,
                .ends = std::move(ends),
                .seeds = draw_secrets<flow::EngineSeeds>()};
  if (auto file = outputs.take_pcap()) {
    crew->capture_.emplace(std::move(*file), [](const sys::SysError& error) {
      telemetry::log_warn("--pcap: writing failed, the capture ends here: {}",
                          sys::errno_text(error.error));
    });
  }
  if (auto made = crew->make_group(making); !made) return std::unexpected(made.error());
  if (auto made = crew->make_workers(making); !made) return std::unexpected(made.error());
  return crew;
}

std::expected<void, sys::SysError> Crew::make_group(Making& making) {
  if (making.workers() == 1) {
    making.published.push_back(std::move(making.prepared.published));
    return {};
  }
  const flow::FrameOwner owner(making.prepared.network, making.workers(),
                               draw_secrets<HashSecret>());
  auto group = driver::Group::create(
      sys::real_kernel(), owner,
      policy::GuestLimits(making.plan.limits, inbound_streams(sys::fd_soft_limit())),
      making.seeds.dns);
  if (!group) return std::unexpected(group.error());
  group_ = std::move(*group);
  group_->meters().bind(*policy_);
  making.published = std::move(making.prepared.published).split(owner);
  sys::grow_fd_table();  // While there is no other thread yet.
  return {};
}

std::expected<void, sys::SysError> Crew::make_workers(Making& making) {
  driver::WorkerOptions options = options_of(making, 0);
  making.reports = options.keep_report || options.flow_log || options.openings ||
                   options.usage != nullptr || making.plan.audit;
  first_.emplace(sys::real_kernel(), loop_, std::move(options));
  std::vector<std::unique_ptr<driver::WorkerThread>> others;
  for (std::uint32_t worker = 1; worker < making.workers(); ++worker) {
    auto other = driver::WorkerThread::create(sys::real_kernel(), options_of(making, worker));
    if (!other) return std::unexpected(other.error());
    others.push_back(std::move(*other));
  }
  workers_.emplace(*first_, std::move(others));
  return {};
}

driver::WorkerOptions Crew::options_of(Making& making, std::uint32_t worker) {
  const std::uint32_t workers = making.workers();
  const bool always = making.plan.fast_path == policy::FastPathUse::kRequire;
  std::vector<agent::GuestAgent>& agents = making.ends.agents;
  std::unique_ptr<link::Link> link = std::move(making.ends.links[worker]);
  driver::WorkerOptions options{
      .link = nullptr,
      .engine = engine_options(making.plan, *policy_, making.prepared.network, link->features()),
      .seeds = making.seeds,
      .published = std::move(making.published[worker]),
      .resolvers = resolv::ResolverConfig::of({}),
      .addresses = {},
      .agent = worker < agents.size() ? std::move(agents[worker]) : agent::GuestAgent(),
      .hand_overs = {.when = always ? flow::HandOverWhen::kAlways : flow::HandOverWhen::kLong,
                     .descriptor_limit = sys::fd_soft_limit(),
                     .workers = workers,
                     .tells = worker == 0},
      .loopback = making.plan.loopback,
      .call_guest = agents.empty() ? policy::LoopbackUse::kNever : making.plan.call_guest,
      .outbound = making.plan.outbound,
      .keep_report = making.reports,
      .flow_log = {},
      .openings = making.outputs.events().wanted(),
      .ask = {.answer_within = making.plan.ask.settings.timeout + kAnswerSlack},
      .spill_max = driver::TcpIo::kSpillMax / workers,
      .member = {}};
  options.link = with_capture(std::move(link));
  if (group_) {
    options.member.emplace(*group_, worker);
    options.engine.share = options.member->share();
    options.engine.shared_limits = &group_->limits();
    options.engine.shared_names = &group_->names();
    options.engine.shared_meters = &group_->meters();
    options.engine.shared_refusals = &group_->refusals();
  }
  if (worker > 0) return options;
  options.resolvers = std::move(making.prepared.resolvers);
  options.addresses = std::move(making.prepared.addresses);
  options.keep_report = making.outputs.wants_report();
  options.flow_log = making.outputs.take_flow_log();
  options.events = &making.outputs.events();
  options.usage = making.outputs.usage();
  return options;
}

std::unique_ptr<link::Link> Crew::with_capture(std::unique_ptr<link::Link> link) {
  if (!capture_) return link;
  return std::make_unique<link::PcapTee>(std::move(link), *capture_);
}

}  // namespace sluice::serve
