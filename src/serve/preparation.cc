#include "serve/preparation.h"

#include <fmt/core.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "resolv/resolver_watch.h"
#include "sys/kernel.h"
#include "sys/process_limits.h"
#include "sys/sys_error.h"
#include "sys/unix_socket.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

[[nodiscard]] std::expected<sys::SignalFd, std::string> open_signals(
    std::span<const int> guest_signals) {
  std::vector<int> wanted(guest_signals.begin(), guest_signals.end());
  wanted.push_back(SIGUSR1);
  auto signals = sys::SignalFd::open(wanted);
  if (!signals) return std::unexpected(signals.error().describe());
  return std::move(*signals);
}

// Whom the relay asks, from now to the end of the guest.
[[nodiscard]] std::expected<void, std::string> find_resolvers(
    const std::vector<wire::Endpoint>& chosen, resolv::ResolverConfig& resolvers,
    flow::GuestNetwork& network) {
  const resolv::ResolvConf& host = resolvers.load();
  if (network.search_domains.empty()) network.search_domains = host.search;
  if (!chosen.empty()) {
    resolvers = resolv::ResolverConfig::of(chosen);
    return {};
  }
  if (resolvers.is_guess()) {
    telemetry::log_warn(
        "{} names no resolver; names are asked of {}, as the C library does; to mend it, add a "
        "line 'nameserver ADDRESS' there, or use --no-dns",
        resolvers.path(), wire::to_string(resolvers.current().resolvers.front().endpoint.address));
  }
  auto watch = resolv::watch_resolv_conf(resolvers.path());
  if (!watch) return std::unexpected(watch.error().describe());
  resolvers.follow(std::move(*watch));
  return {};
}

[[nodiscard]] std::expected<std::optional<netlink::AddressWatch>, std::string> watch_addresses(
    bool within_reach) {
  auto watch = netlink::AddressWatch::open();
  if (watch) return std::move(*watch);
  if (within_reach) return std::nullopt;
  return std::unexpected(
      fmt::format("cannot learn the host's addresses, which the guest may not reach: {}; "
                  "--host-addresses does without",
                  watch.error().describe()));
}

[[nodiscard]] std::expected<std::unique_ptr<MetricsServer>, std::string> open_metrics(
    const std::optional<wire::Endpoint>& endpoint) {
  if (!endpoint) return nullptr;
  auto metrics = MetricsServer::open(sys::real_kernel(), *endpoint);
  if (!metrics) {
    return std::unexpected(fmt::format("--metrics: cannot listen at {}: {}",
                                       wire::to_string(*endpoint),
                                       sys::errno_text(metrics.error().error)));
  }
  const std::string url = fmt::format("http://{}/metrics", wire::to_string((*metrics)->endpoint()));
  if (endpoint->port.value == 0) {
    fmt::print(stderr, "sluice: metrics: {}\n", url);  // Nobody can know it otherwise.
  } else {
    telemetry::log_info("metrics at {}", url);
  }
  return std::move(*metrics);
}

void tell_picked(const std::vector<policy::PortMap>& wanted,
                 const std::vector<policy::PortMap>& published) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].host_first.value != 0) continue;
    // Nobody can know it otherwise.
    fmt::print(stderr, "sluice: published: {}\n", policy::to_string(published[i]));
  }
}

[[nodiscard]] std::expected<driver::OpenedPorts, std::string> open_published(
    const std::vector<policy::PortMap>& wanted, const flow::GuestNetwork& network) {
  auto opened = driver::open_ports(sys::real_kernel(), wanted, network, driver::NameHolders::kYes);
  if (!opened) return std::unexpected("--publish " + opened.error());
  const driver::LeftOut& left_out = opened->left_out;
  for (const std::string& told : left_out.told) telemetry::log_warn("not published: {}", told);
  if (left_out.count > left_out.told.size()) {
    telemetry::log_warn("not published: {} more ports", left_out.count - left_out.told.size());
  }
  tell_picked(wanted, opened->maps);
  return opened;
}

// Nothing where nobody wants it. The file goes when we do, however that comes.
[[nodiscard]] std::expected<void, std::string> open_slirp_api(const std::string& path,
                                                              Preparation& prepared) {
  if (path.empty()) return {};
  auto api = SlirpApiServer::open(sys::real_kernel(), path);
  if (!api) {
    return std::unexpected(fmt::format(
        "--api-socket: cannot listen at '{}': {}{}", path, sys::errno_text(api.error().error),
        api.error().error == EADDRINUSE ? "; somebody does already, or it is no socket: choose "
                                          "another path, or remove it"
                                        : ""));
  }
  auto kept = SocketFile::keep(sys::BoundPath(path));
  if (!kept) return std::unexpected(kept.error().describe());
  prepared.slirp_api = std::move(*api);
  prepared.slirp_api_file = std::move(*kept);
  return {};
}

}  // namespace

std::expected<Preparation, std::string> prepare(const ServePlan& plan,
                                                std::span<const int> guest_signals) {
  const auto descriptor_limit = sys::raise_fd_limit();
  auto signals = open_signals(guest_signals);
  if (!signals) return std::unexpected(signals.error());

  flow::GuestNetwork network = plan.network;
  resolv::ResolverConfig resolvers;
  if (network.dns) {
    if (auto found = find_resolvers(plan.resolvers, resolvers, network); !found) {
      return std::unexpected(found.error());
    }
  }
  auto addresses = watch_addresses(plan.host_addresses);
  if (!addresses) return std::unexpected(addresses.error());
  auto published = open_published(plan.publish, network);
  if (!published) return std::unexpected(published.error());
  auto metrics = open_metrics(plan.metrics);
  if (!metrics) return std::unexpected(metrics.error());
  Preparation prepared{
      .signals = std::move(*signals),
      .descriptor_limit = descriptor_limit ? std::optional(*descriptor_limit) : std::nullopt,
      .network = std::move(network),
      .resolvers = std::move(resolvers),
      .addresses = std::move(*addresses),
      .published = std::move(published->ports),
      .publish = std::move(published->maps),
      .metrics = std::move(*metrics),
      .slirp_api = nullptr,
      .slirp_api_file = {}};
  if (auto opened = open_slirp_api(plan.slirp_api, prepared); !opened) {
    return std::unexpected(opened.error());
  }
  return prepared;
}

bool joins_loopback(const ServePlan& plan) {
  if (!plan.loopback.empty() || !plan.host_follow.ports.empty()) return true;
  if (plan.call_guest == policy::LoopbackUse::kNever) return false;
  return plan.fast_path != policy::FastPathUse::kOff || !plan.publish.empty() ||
         !plan.follow.empty();
}

}  // namespace sluice::serve
