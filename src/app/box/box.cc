#include "app/box/box.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/guest/guest_plan.h"
#include "app/options/command.h"
#include "serve/box/box_guest.h"
#include "serve/outputs.h"
#include "serve/server.h"
#include "sys/process_limits.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

constexpr int kExitSetupFailed = 125;  // As `run` has it.

[[nodiscard]] std::string absolute(const std::string& folder, const std::string& path) {
  const auto whole = (std::filesystem::path(folder) / path).lexically_normal().string();
  const bool slash = whole.size() > 1 && whole.ends_with('/');
  return slash ? whole.substr(0, whole.size() - 1) : whole;
}

[[nodiscard]] std::expected<void, std::string> check_folder(std::string_view option,
                                                            const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return std::unexpected(fmt::format("{}: '{}': {}", option, path, sys::errno_text(errno)));
  }
  if (!S_ISDIR(status.st_mode)) {
    return std::unexpected(fmt::format("{}: '{}' is no folder", option, path));
  }
  return {};
}

// A thread for each pair of queues, where there are cores for them.
[[nodiscard]] std::uint32_t workers_for(const BoxOptions& options) {
  if (options.workers) return *options.workers;
  if (options.trace != nullptr) return 1;  // A timeline is of one.
  return std::min<std::uint32_t>(options.box.net_queues, sys::usable_cores());
}

int box_command(const BoxOptions& options) {
  std::error_code error;
  const std::string folder = std::filesystem::current_path(error).string();
  auto plan = box_plan(options, error ? "/" : folder);
  if (!plan) {
    telemetry::log_error("{}", plan.error());
    return kExitSetupFailed;
  }
  auto outputs = serve::Outputs::open(output_plan(options));
  if (!outputs) {
    telemetry::log_error("{}", outputs.error());
    return kExitSetupFailed;
  }
  NetworkChoice choice = network_for(options);
  if (!choice.ipv4_default_route) {
    telemetry::log_info("the host has no way by IPv4, so the guest gets none");
  }
  plan->ipv4_default_route = choice.ipv4_default_route;
  plan->hidden = options.hidden;
  serve::BoxGuest guest(std::move(*plan));
  serve::ServePlan serve = serve_plan(options, std::move(choice.network));
  serve.workers = workers_for(options);
  serve.ask.command = shown_command(options.box.command);
  return serve::serve(serve, std::move(*outputs), guest);
}

}  // namespace

std::expected<serve::BoxPlan, std::string> box_plan(const BoxOptions& options,
                                                    const std::string& folder) {
  serve::BoxPlan plan = options.box;
  plan.cpus = options.cpus.value_or(default_cpus(sys::usable_cores()));
  plan.memory = options.memory.value_or(default_memory(sys::physical_memory()));
  const bool foreign = plan.root != "/";
  plan.root = absolute(folder, plan.root);
  if (auto ok = check_folder("--root", plan.root); !ok) return std::unexpected(ok.error());
  if (!plan.kernel.empty()) plan.kernel = absolute(folder, plan.kernel);
  for (serve::BoxShare& share : plan.shares) {
    share.path = absolute(folder, share.path);
    share.target = absolute(folder, share.target);
    if (share.target == "/") {
      return std::unexpected(
          fmt::format("--share: '{}' cannot be the machine's root; expected --root, or a path "
                      "behind it, as {}:/src",
                      share.path, share.path));
    }
    if (auto ok = check_folder("--share", share.path); !ok) return std::unexpected(ok.error());
  }
  plan.workdir_required = !plan.workdir.empty();
  if (!plan.workdir_required) plan.workdir = foreign ? "/" : folder;
  return plan;
}

std::expected<int, EarlyExit> start_box(std::span<const char* const> arguments) {
  const char* const shell = std::getenv("SHELL");
  const auto options = parse_box_options(arguments, shell != nullptr ? shell : "");
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kBoxCommand.program);
  telemetry::set_log_level(options->log_level);
  tell_policy(*options);
  return box_command(*options);
}

}  // namespace sluice::app
