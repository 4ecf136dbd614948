#include "app/web/web.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "app/options/command.h"
#include "app/web/web_options.h"
#include "base/unique_fd.h"
#include "config/egress/decision_file.h"
#include "config/egress/name_facts.h"
#include "control/run_address.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/random.h"
#include "sys/signal_fd.h"
#include "sys/sockaddr.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"
#include "web/page_server.h"

namespace sluice::app {
namespace {

constexpr int kFailed = 1;
constexpr int kBacklog = 64;
constexpr std::uint64_t kSignalTag = 0;

[[nodiscard]] int failed(const std::string& why) {
  telemetry::log_error("{}", why);
  return kFailed;
}

// A listening socket there, and where it is with the port that the kernel chose.
[[nodiscard]] std::expected<UniqueFd, int> listen_at(wire::Endpoint& endpoint) {
  UniqueFd fd(::socket(sys::address_family(endpoint.address.family()),
                       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  const auto address = sys::to_sockaddr(endpoint);
  if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), address.get(), address.length) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return std::unexpected(errno);
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return std::unexpected(errno);
  }
  if (const auto known = sys::from_sockaddr(bound, length)) endpoint = *known;
  return fd;
}

// What a person has answered for ever, once the run has made a rule of it. The run itself writes
// nothing.
[[nodiscard]] std::string remember(const std::string& said) {
  const auto json = nlohmann::json::parse(said, nullptr, false);
  if (!json.is_object() || !json.contains("answer")) return "the run speaks another language";
  const auto& answer = json["answer"];
  const auto text = [&answer](const char* member) {
    const auto found = answer.find(member);
    return found != answer.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (!answer.value("ok", false) || text("scope") != "always") return "";
  const auto file = config::DecisionFile::of_this_user();
  const auto kept =
      file ? file->remember({.rule = text("rule"),
                             .when = config::decided_at(std::chrono::system_clock::now()),
                             .by = "web",
                             .run = text("command"),
                             .note = {}})
           : std::expected<void, std::string>(std::unexpected(file.error()));
  if (kept) return "";
  return fmt::format("it holds for this run, but is not remembered: {}", kept.error());
}

// 256 bits as text.
[[nodiscard]] std::string draw_secret() {
  const auto drawn = sys::draw_random<std::array<std::uint64_t, 4>>();
  if (!drawn) return {};
  std::string text;
  for (const std::uint64_t part : *drawn) text += fmt::format("{:016x}", part);
  return text;
}

[[nodiscard]] int serve(web::PageServer& server, sys::EventLoop& loop, sys::SignalFd& signals) {
  std::array<epoll_event, 64> events{};
  while (true) {
    const Instant before = loop.now();
    const auto count = loop.wait(events, before, server.next_wakeup(before));
    if (!count) return failed(count.error().describe());
    const Instant now = loop.now();
    for (std::size_t i = 0; i < *count; ++i) {
      if (events[i].data.u64 == kSignalTag) {
        if (signals.read()) return 0;
      } else {
        server.on_event(events[i].data.u64, events[i].events, now);
      }
    }
    server.run(now);
  }
}

}  // namespace

std::expected<int, EarlyExit> start_web(std::span<const char* const> arguments) {
  auto options = parse_web_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kWebCommand.program);
  auto signals = sys::SignalFd::open(std::array{SIGINT, SIGTERM, SIGHUP});
  if (!signals) return failed(signals.error().describe());
  auto loop = sys::EventLoop::create(sys::real_kernel());
  if (!loop) return failed(loop.error().describe());
  if (auto watched = loop->add(signals->fd(), EPOLLIN, kSignalTag); !watched) {
    return failed(watched.error().describe());
  }
  auto listener = listen_at(options->listen);
  if (!listener) {
    return failed(fmt::format("cannot listen at {}: {}", wire::to_string(options->listen),
                              sys::errno_text(listener.error())));
  }
  web::Secrets secrets{draw_secret(), draw_secret(), draw_secret()};
  if (secrets.token.empty() || secrets.session.empty() || secrets.key.empty()) {
    return failed(fmt::format("getrandom: {}", sys::errno_text(errno)));
  }
  const web::Gatekeeper gatekeeper(wire::to_string(options->listen), std::move(secrets));
  const std::string url = gatekeeper.url();
  auto server = web::PageServer::open(
      *loop, std::move(*listener), gatekeeper,
      {.list_runs = [] { return control::list_runs(::getuid()); },
       .domain_of = [](const std::string& name) { return config::registrable_domain(name); },
       .remember = remember});
  if (!server) return failed(server.error());
  fmt::print("{}\n", url);
  if (std::fflush(stdout) != 0) return failed("cannot print the address of the page");
  return serve(**server, *loop, *signals);
}

}  // namespace sluice::app
