#include "forward/supervisor/health.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>
#include <string>
#include <vector>

#include "host/stream_connect.h"
#include "sys/random.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"
#include "wire/transport/proxy_protocol.h"

namespace sluice::forward {
namespace {

// More addresses than this are not tried in one check.
constexpr std::size_t kProbesMax = 8;
// Each interval is longer or shorter by up to this part, so that checks that fell together drift
// apart.
constexpr int kJitterPart = 16;

// Without randomness only the spreading is lost.
[[nodiscard]] std::uint64_t random_seed() { return sys::draw_random<std::uint64_t>().value_or(0); }

[[nodiscard]] Duration below(Prng& prng, Duration bound) {
  return Duration(static_cast<Duration::rep>(
      prng.below(static_cast<std::uint64_t>(std::max(bound, Duration{1}).count()))));
}

[[nodiscard]] bool is_same(const std::weak_ptr<LiveRule>& a, const std::shared_ptr<LiveRule>& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

// As the forwarder connects, but plain TCP: from the same address, device and mark, so that a check
// takes the road that sessions take.
[[nodiscard]] host::StreamOptions options_for(const SocketPlan& plan, const Place& place,
                                              const wire::Endpoint& endpoint) {
  host::StreamOptions options{
      .scope_id = place.scope_id, .device = plan.target_device, .mark = plan.mark};
  if (plan.source && plan.source->family() == endpoint.address.family()) {
    options.source = wire::Endpoint{*plan.source, wire::Port{0}};
  }
  return options;
}

}  // namespace

HealthChecks::HealthChecks(sys::Kernel& kernel, sys::EventLoop& loop, std::uint64_t tag_base,
                           std::optional<std::uint64_t> seed)
    : kernel_(kernel), loop_(loop), tag_base_(tag_base), prng_(seed ? *seed : random_seed()) {}

HealthChecks::~HealthChecks() = default;

void HealthChecks::watch(const std::shared_ptr<LiveRule>& rule, Instant now) {
  if (!rule->plan.health.enabled || rule->plan.targets_udp()) return;
  const auto is_watched = [&](const auto& entry) { return is_same(entry.second.rule, rule); };
  if (std::ranges::any_of(checks_, is_watched)) return;
  for (std::uint32_t i = 0; i < rule->targets.size(); ++i) add(rule, i, now);
}

void HealthChecks::add(const std::shared_ptr<LiveRule>& rule, std::uint32_t target, Instant now) {
  const CheckId id = ++last_id_;
  Check& check = checks_[id];
  check.rule = rule;
  check.target = target;
  check.next_start = now + below(prng_, rule->plan.health.interval);
  wake(id, check, check.next_start);
}

void HealthChecks::wake(CheckId id, Check& check, Instant at) {
  schedule_.erase({check.wake_at, id});
  check.wake_at = at;
  schedule_.insert({at, id});
}

void HealthChecks::on_time(Instant now) {
  while (!schedule_.empty() && schedule_.begin()->first <= now) {
    const CheckId id = schedule_.begin()->second;
    Check& check = checks_.at(id);
    if (check.running) {
      finish(id, check, ETIMEDOUT, now);
    } else {
      start(id, check, now);
    }
  }
}

Instant HealthChecks::next_deadline() const {
  return schedule_.empty() ? kNever : schedule_.begin()->first;
}

void HealthChecks::start(CheckId id, Check& check, Instant now) {
  const std::shared_ptr<LiveRule> rule = check.rule.lock();
  if (rule == nullptr) {
    remove(id);
    return;
  }
  const Duration interval = rule->plan.health.interval;
  check.next_start =
      now + interval - interval / kJitterPart + below(prng_, 2 * (interval / kJitterPart));
  check.last_error = 0;

  const Place& place = rule->plan.targets[check.target].place;
  std::vector<std::optional<wire::Endpoint>> destinations;
  if (place.is_unix()) destinations.emplace_back(std::nullopt);
  for (const wire::IpAddress& address : rule->targets.addresses(check.target)) {
    if (destinations.size() == kProbesMax) break;
    destinations.emplace_back(wire::Endpoint{address, wire::Port{place.port}});
  }
  bool any_failed = false;
  for (const auto& destination : destinations) {
    const Started started = probe(id, check, *rule, destination);
    if (started == Started::kConnected) {
      finish(id, check, 0, now);
      return;
    }
    any_failed |= started == Started::kFailed;
  }
  if (!check.probes.empty()) {
    check.running = true;
    wake(id, check, now + rule->plan.health.timeout);
  } else if (any_failed) {
    finish(id, check, check.last_error, now);
  } else {
    pause(id, check, now);  // No address, or no descriptor: nothing was learnt.
  }
}

HealthChecks::Started HealthChecks::probe(CheckId id, Check& check, const LiveRule& rule,
                                          const std::optional<wire::Endpoint>& endpoint) {
  const Place& place = rule.plan.targets[check.target].place;
  auto started = endpoint ? host::connect_stream(kernel_, *endpoint,
                                                 options_for(rule.plan.socket, place, *endpoint))
                          : host::connect_unix(kernel_, place.path);
  if (!started) {
    if (sys::is_exhaustion(started.error().error)) return Started::kNoDescriptor;
    check.last_error = started.error().error;
    return Started::kFailed;
  }
  if (started->progress == host::ConnectProgress::kEstablished) {
    take_leave(started->socket, rule);
    return Started::kConnected;
  }
  const std::uint32_t number = ++last_number_;
  if (!loop_.add(started->socket.fd(), EPOLLOUT, tag_base_ | number)) return Started::kNoDescriptor;
  check.probes.emplace(number, std::move(started->socket));
  probes_[number] = id;
  return Started::kConnecting;
}

void HealthChecks::on_event(std::uint32_t number, std::uint32_t events, Instant now) {
  const auto found = probes_.find(number);
  // The check has ended in the same turn of the loop.
  if (found == probes_.end()) return;
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
  const CheckId id = found->second;
  Check& check = checks_.at(id);
  host::TcpSocket& socket = check.probes.at(number);
  // A target that accepts and resets is busy, not gone: what it has to say is the client's.
  const host::ConnectReport report = host::connect_outcome(socket);
  if (report.outcome != host::ConnectOutcome::kFailed) {
    if (const auto rule = check.rule.lock()) take_leave(socket, *rule);
    finish(id, check, 0, now);
    return;
  }
  check.last_error = report.error;
  check.probes.erase(number);
  probes_.erase(found);
  if (check.probes.empty()) finish(id, check, check.last_error, now);
}

void HealthChecks::take_leave(host::TcpSocket& socket, const LiveRule& rule) {
  const ProxyOut version = rule.plan.proxy_out;
  if (version != ProxyOut::kOff) {
    const wire::ProxyHeader header{
        .version = version == ProxyOut::kV1 ? wire::ProxyVersion::kV1 : wire::ProxyVersion::kV2,
        .command = wire::ProxyCommand::kLocal};
    std::array<std::uint8_t, wire::kProxyEmitSizeMax> room;
    const iovec part{room.data(), wire::emit_proxy_header(header, room).value_or(0)};
    // One that has reset already takes none, and works all the same.
    (void)socket.send({&part, 1});
  }
  socket.reset();
}

// `error` 0: an address answered.
void HealthChecks::finish(CheckId id, Check& check, int error, Instant now) {
  drop_probes(check);
  check.running = false;
  const std::shared_ptr<LiveRule> rule = check.rule.lock();
  if (rule == nullptr) {
    remove(id);
    return;
  }
  judge(check, *rule, error);
  pause(id, check, now);
}

void HealthChecks::judge(Check& check, LiveRule& rule, int error) {
  const bool works = error == 0;
  if (works == rule.targets.up(check.target)) {
    check.streak = 0;
    return;
  }
  const HealthPlan& plan = rule.plan.health;
  if (++check.streak < (works ? plan.rise : plan.fall)) return;
  check.streak = 0;
  rule.targets.set_up(check.target, works);
  const std::string place = to_string(rule.plan.targets[check.target].place);
  if (works) {
    telemetry::log_info("rule '{}': target {} is up", rule.plan.name, place);
  } else {
    telemetry::log_warn("rule '{}': target {} is down: {}", rule.plan.name, place,
                        sys::errno_text(error));
  }
}

void HealthChecks::pause(CheckId id, Check& check, Instant now) {
  wake(id, check, std::max(check.next_start, now));
}

void HealthChecks::drop_probes(Check& check) {
  for (const std::uint32_t number : check.probes | std::views::keys) probes_.erase(number);
  check.probes.clear();  // Closing takes them out of the loop.
}

void HealthChecks::remove(CheckId id) {
  const auto found = checks_.find(id);
  drop_probes(found->second);
  schedule_.erase({found->second.wake_at, id});
  checks_.erase(found);
}

}  // namespace sluice::forward
