// `sluice run`: opens what needs privileges or can be refused, starts the guest, gives up all
// privileges, and serves.
#include "app/run/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "app/options/command.h"
#include "app/run/network_choice.h"
#include "app/run/system_files.h"
#include "driver/published.h"
#include "driver/worker.h"
#include "link/pcap_file.h"
#include "link/pcap_tee.h"
#include "link/tap_link.h"
#include "netlink/address_watch.h"
#include "netlink/host_routes.h"
#include "netns/namespaces.h"
#include "resolv/resolver_config.h"
#include "resolv/resolver_watch.h"
#include "sandbox/sandbox.h"
#include "sys/fd_limit.h"
#include "sys/random.h"
#include "sys/signal_fd.h"
#include "telemetry/flow_log.h"
#include "telemetry/log.h"
#include "telemetry/private_file.h"
#include "telemetry/snapshot.h"
#include "telemetry/trace/trace_session.h"

namespace sluice::app {
namespace {

// The files that the command line names, open before anything is started.
struct OutputFiles {
  std::optional<link::PcapFile> pcap;
  std::optional<telemetry::FlowLog> flow_log;
  std::FILE* report = stderr;
  std::optional<telemetry::TraceSession> trace;
};

[[nodiscard]] bool open_trace(const RunOptions& options, OutputFiles& files) {
  auto trace = telemetry::TraceSession::open(*options.trace, options.trace_file);
  if (!trace) {
    telemetry::log_error("--trace: cannot write '{}': {}", options.trace_file,
                         std::strerror(trace.error()));
    return false;
  }
  // Now, as the sandbox forbids to change code.
  if (const auto started = trace->start(); !started) {
    const trace::TraceError& error = started.error();
    telemetry::log_error("--trace: {}{}{}", error.what, error.error == 0 ? "" : ": ",
                         error.error == 0 ? "" : std::strerror(error.error));
    return false;
  }
  files.trace = std::move(*trace);
  return true;
}

[[nodiscard]] bool open_outputs(const RunOptions& options, OutputFiles& files) {
  if (!options.pcap.empty()) {
    auto pcap = link::PcapFile::open(options.pcap);
    if (!pcap) {
      telemetry::log_error("--pcap: cannot write '{}': {}", options.pcap, pcap.error().message());
      return false;
    }
    files.pcap = std::move(*pcap);
  }
  if (!options.flow_log.empty()) {
    auto log = telemetry::FlowLog::open(options.flow_log);
    if (!log) {
      telemetry::log_error("--flow-log: cannot write '{}': {}", options.flow_log,
                           log.error().message());
      return false;
    }
    files.flow_log = std::move(*log);
  }
  if (!options.report_file.empty()) {
    files.report = telemetry::open_private_file(options.report_file);
    if (files.report == nullptr) {
      telemetry::log_error("--report-file: cannot write '{}': {}", options.report_file,
                           std::strerror(errno));
      return false;
    }
  }
  return options.trace == nullptr || open_trace(options, files);
}

[[nodiscard]] flow::EngineSeeds draw_seeds() {
  const auto seeds = sys::draw_random<flow::EngineSeeds>();
  if (!seeds) {
    telemetry::log_error("getrandom: {}", std::strerror(errno));
    std::abort();
  }
  return *seeds;
}

[[nodiscard]] std::string resolv_conf_for(const flow::GuestNetwork& network,
                                          const std::vector<std::string>& options) {
  std::string text = "# Made by sluice: its DNS relay asks the host's resolvers.\n";
  if (network.ipv4) text += fmt::format("nameserver {}\n", wire::to_string(network.dns_v4));
  if (network.ipv6) text += fmt::format("nameserver {}\n", wire::to_string(network.dns_v6));
  if (!network.search_domains.empty()) {
    text += fmt::format("search {}\n", fmt::join(network.search_domains, " "));
  }
  if (!options.empty()) text += fmt::format("options {}\n", fmt::join(options, " "));
  return text;
}

[[nodiscard]] std::vector<netns::GuestFile> guest_files(const flow::GuestNetwork& network,
                                                        const std::vector<std::string>& options) {
  std::vector<netns::GuestFile> files = system_files(network);
  if (network.dns) files.push_back({netns::kResolvConfPath, resolv_conf_for(network, options)});
  return files;
}

[[nodiscard]] netns::InterfacePlan namespace_network(const RunOptions& options,
                                                     const NetworkChoice& choice) {
  const flow::GuestNetwork& network = choice.network;
  netns::InterfacePlan result{.interface = options.interface,
                              .addresses = {},
                              .gateways = {},
                              .mtu = network.mtu,
                              .mac = network.guest_mac};
  if (network.ipv4) {
    result.addresses.push_back({network.guest_v4, network.prefix_length_v4});
    if (choice.ipv4_default_route) result.gateways.push_back(network.gateway_v4);
  }
  if (network.ipv6) {
    result.addresses.push_back({network.guest_v6, network.prefix_length_v6});
    result.gateways.push_back(network.gateway_v6);
  }
  return result;
}

// As it becomes on this host. Whose routes cannot be read is served the usual one.
[[nodiscard]] NetworkChoice network_for(const RunOptions& options) {
  const auto routes = netlink::read_host_routes();
  if (!routes) telemetry::log_info("the host's routes: {}", routes.error().describe());
  NetworkChoice choice = choose_network(options, routes ? *routes : netlink::HostRoutes{});
  for (const std::string& warning : choice.warnings) telemetry::log_warn("{}", warning);
  if (!choice.ipv4_default_route) {
    telemetry::log_info("the host has no way by IPv4, so the guest gets none");
  }
  return choice;
}

[[nodiscard]] std::expected<netns::OpenedLink, sys::SetupError> open_link(
    const std::string& interface) {
  auto tap = link::open_tap(interface);
  if (!tap) {
    return std::unexpected(
        sys::SetupError{tap.error().step_text(), tap.error().error, tap.error().hint()});
  }
  return netns::OpenedLink{std::move(tap->queues), tap->features.pack()};
}

void print_report(telemetry::ReportFormat format, const telemetry::Snapshot& snapshot,
                  std::FILE* file) {
  const std::string text =
      telemetry::report_text(snapshot, format, telemetry::color_for(::fileno(file)));
  if (text.empty()) return;
  std::fputs(text.c_str(), file);
  if (std::fflush(file) != 0) telemetry::log_error("--report: {}", std::strerror(errno));
}

// A connection from outside has up to two descriptors, so a quarter of them as connections is half
// of them at most: the rest is for what the guest begins.
[[nodiscard]] std::uint32_t inbound_streams(std::uint64_t descriptor_limit) {
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      descriptor_limit / 4, 1, std::numeric_limits<std::uint32_t>::max()));
}

[[nodiscard]] std::unique_ptr<link::Link> with_capture(std::unique_ptr<link::Link> link,
                                                       std::optional<link::PcapFile> file) {
  if (!file) return link;
  return std::make_unique<link::PcapTee>(
      std::move(link), std::move(*file), [](const std::error_code& error) {
        telemetry::log_warn("--pcap: writing failed, the capture ends here: {}", error.message());
      });
}

[[nodiscard]] driver::WorkerOptions worker_options(
    const RunOptions& options, OutputFiles& files, const flow::GuestNetwork& network,
    netns::OpenedLink opened, agent::GuestAgent agent, std::uint64_t descriptor_limit,
    driver::PublishedPorts published, resolv::ResolverConfig resolvers,
    std::optional<netlink::AddressWatch> addresses) {
  const link::TapFeatures features = link::TapFeatures::unpack(opened.cookie);
  if (!features.checksum || !features.tso4) {
    telemetry::log_info("the kernel refuses offloads on the tap; frames stay within the MTU");
  }
  auto tap = std::make_unique<link::TapLink>(sys::real_kernel(), std::move(opened.queues.front()),
                                             features);
  const wire::LinkFeatures offloads = tap->features();
  return driver::WorkerOptions{
      .link = with_capture(std::move(tap), std::move(files.pcap)),
      .engine = {.network = network,
                 .link = offloads,
                 .policy = policy::Policy(options.deny, options.allow),
                 .limits = options.limits,
                 .max_inbound_streams = inbound_streams(descriptor_limit),
                 .host_loopback = options.host_loopback,
                 .host_addresses = options.host_addresses ? policy::HostAddresses::kOpen
                                                          : policy::HostAddresses::kRefused,
                 .nat64_prefixes = options.nat64_prefixes,
                 .tcp = {}},
      .seeds = draw_seeds(),
      .published = std::move(published),
      .resolvers = std::move(resolvers),
      .addresses = std::move(addresses),
      .agent = std::move(agent),
      .fast_path = {.when = options.fast_path == policy::FastPathUse::kRequire
                                ? flow::HandOverWhen::kAlways
                                : flow::HandOverWhen::kLong,
                    .descriptor_limit = descriptor_limit},
      .keep_report = options.report != telemetry::ReportFormat::kNone,
      .flow_log = std::move(files.flow_log)};
}

// Whom the relay asks, from now to the end of the guest.
[[nodiscard]] bool find_resolvers(resolv::ResolverConfig& resolvers, flow::GuestNetwork& network) {
  network.search_domains = resolvers.load().search;
  if (resolvers.is_guess()) {
    telemetry::log_warn(
        "{} names no resolver; names are asked of {}, as the C library does; to mend it, add a "
        "line 'nameserver ADDRESS' there, or use --no-dns",
        resolvers.path(), wire::to_string(resolvers.current().resolvers.front().endpoint.address));
  }
  auto watch = resolv::watch_resolv_conf(resolvers.path());
  if (!watch) {
    telemetry::log_error("{}", watch.error().describe());
    return false;
  }
  resolvers.follow(std::move(*watch));
  return true;
}

// From the started guest to its end.
[[nodiscard]] int serve(const RunOptions& options, OutputFiles& files,
                        const flow::GuestNetwork& network, sys::SignalFd& signals,
                        netns::PendingGuest guest, driver::PublishedPorts published,
                        resolv::ResolverConfig resolvers,
                        std::optional<netlink::AddressWatch> addresses) {
  sys::Kernel& kernel = sys::real_kernel();
  auto loop = sys::EventLoop::create(kernel);
  auto opened = guest.await_link();
  for (const sys::SetupError& warning : guest.warnings()) {
    // Without it names do not work, which is worth a word to everybody.
    const bool names = warning.step.starts_with(netns::kResolvConfPath);
    telemetry::log(names ? telemetry::LogLevel::kWarn : telemetry::LogLevel::kInfo, "{}",
                   warning.describe());
  }
  if (!opened) {
    telemetry::log_error("{}", opened.error().describe());
    return netns::kExitSetupFailed;
  }
  if (!loop) {
    telemetry::log_error("{}", loop.error().describe());
    return netns::kExitSetupFailed;
  }
  driver::Worker worker(
      kernel, *loop,
      worker_options(options, files, network, std::move(*opened), guest.take_agent(),
                     sys::fd_soft_limit(), std::move(published), std::move(resolvers),
                     std::move(addresses)));
  if (options.fast_path == policy::FastPathUse::kRequire) {
    if (const auto ready = worker.await_fast_path(); !ready) {
      telemetry::log_error("--fast-path=require: {}", ready.error().describe());
      return netns::kExitSetupFailed;
    }
  }
  auto child = std::move(guest).release();
  if (!child) {
    telemetry::log_error("{}", child.error().describe());
    return netns::kExitSetupFailed;
  }
  if (const auto safe =
          sandbox::enter_sandbox(sandbox::seccomp_mode_from_environment(), child->pidfd());
      !safe) {
    telemetry::log_error("{}", safe.error().describe());
    child->send_signal(SIGKILL);
    return netns::kExitSetupFailed;
  }
  const int status = worker.run(*child, signals);
  if (const auto& error = child->exec_error()) telemetry::log_error("{}", error->describe());
  print_report(options.report, worker.snapshot(), files.report);
  if (files.trace) {
    if (const auto written = files.trace->finish(); !written) {
      telemetry::log_error("--trace: writing '{}' failed: {}", options.trace_file,
                           std::strerror(written.error()));
    }
  }
  return status;
}

}  // namespace

int run_command(const RunOptions& options) {
  const auto descriptor_limit = sys::raise_fd_limit();
  std::array<int, netns::kChildSignals.size() + 1> wanted{};
  std::copy(netns::kChildSignals.begin(), netns::kChildSignals.end(), wanted.begin());
  wanted.back() = SIGUSR1;
  auto signals = sys::SignalFd::open(wanted);
  if (!signals) {
    telemetry::log_error("{}", signals.error().describe());
    return netns::kExitSetupFailed;
  }
  OutputFiles files;
  if (!open_outputs(options, files)) return netns::kExitSetupFailed;

  resolv::ResolverConfig resolvers;
  const NetworkChoice choice = network_for(options);
  flow::GuestNetwork network = choice.network;
  if (network.dns && !find_resolvers(resolvers, network)) return netns::kExitSetupFailed;

  std::optional<netlink::AddressWatch> addresses;
  if (auto watch = netlink::AddressWatch::open()) {
    addresses = std::move(*watch);
  } else if (!options.host_addresses) {
    telemetry::log_error(
        "cannot learn the host's addresses, which the guest may not reach: {}; "
        "--host-addresses does without",
        watch.error().describe());
    return netns::kExitSetupFailed;
  }

  auto published = driver::PublishedPorts::open(sys::real_kernel(), options.publish, network);
  if (!published) {
    telemetry::log_error("{}", published.error());
    return netns::kExitSetupFailed;
  }
  auto guest = netns::spawn_guest(
      {.command = options.command,
       .network = namespace_network(options, choice),
       .open_link = [&options] { return open_link(options.interface); },
       .files = guest_files(network, resolvers.current().options),
       .user = options.as_root ? netns::GuestUser::kRoot : netns::GuestUser::kCaller,
       .pid_namespace =
           options.pid_namespace ? netns::PidNamespace::kOwn : netns::PidNamespace::kShared,
       .agent = options.fast_path == policy::FastPathUse::kOff ? netns::AgentUse::kOff
                                                               : netns::AgentUse::kOn,
       .signals = signals->saved(),
       .descriptor_limit = descriptor_limit ? std::optional(*descriptor_limit) : std::nullopt});
  if (!guest) {
    telemetry::log_error("{}", guest.error().describe());
    return netns::kExitSetupFailed;
  }
  return serve(options, files, network, *signals, std::move(*guest), std::move(*published),
               std::move(resolvers), std::move(addresses));
}

std::expected<int, EarlyExit> start_run(std::span<const char* const> arguments) {
  const char* const shell = std::getenv("SHELL");
  const auto options = parse_run_options(arguments, shell != nullptr ? shell : "");
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kRunCommand.program);
  telemetry::set_log_level(options->log_level);
  return run_command(*options);
}

}  // namespace sluice::app
