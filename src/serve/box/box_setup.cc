#include "serve/box/box_setup.h"

#include <fmt/core.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "box/device/terminal.h"
#include "serve/command_files.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): environ(7).

namespace sluice::serve {
namespace {

[[nodiscard]] std::vector<std::uint32_t> own_groups() {
  const int count = ::getgroups(0, nullptr);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 0)));
  const int got = ::getgroups(count, groups.data());
  groups.resize(static_cast<std::size_t>(std::max(got, 0)));
  return {groups.begin(), groups.end()};
}

[[nodiscard]] std::uint32_t own_umask() {
  const mode_t mask = ::umask(0);  // Nothing tells it without setting it.
  ::umask(mask);
  return mask;
}

[[nodiscard]] std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

void set_variable(std::vector<std::string>& environment, const std::string& variable) {
  std::erase_if(environment,
                [&](const std::string& old) { return name_of(old) == name_of(variable); });
  environment.push_back(variable);
}

[[nodiscard]] box::NetworkSetup network_setup(const BoxPlan& plan,
                                              const flow::GuestNetwork& network) {
  box::NetworkSetup setup{.interface = plan.interface,
                          .addresses = {},
                          .gateways = {},
                          .mtu = network.mtu,
                          .queue_pairs = plan.net_queues};
  if (network.ipv4) {
    setup.addresses.push_back({network.guest_v4, network.prefix_length_v4});
    if (plan.ipv4_default_route) setup.gateways.push_back(network.gateway_v4);
  }
  if (network.ipv6) {
    setup.addresses.push_back({network.guest_v6, network.prefix_length_v6});
    setup.gateways.push_back(network.gateway_v6);
  }
  return setup;
}

}  // namespace

BoxCaller box_caller() {
  BoxCaller caller{
      .uid = ::geteuid(), .gid = ::getegid(), .groups = own_groups(), .umask = own_umask()};
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    caller.environment.emplace_back(*variable);
  }
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) caller.host_name = name.data();
  const auto window = box::window_of(STDIN_FILENO);
  if (window && box::window_of(STDOUT_FILENO)) {
    caller.terminal = box::Window{.rows = window->rows, .columns = window->columns};
    caller.error_is_terminal = box::window_of(STDERR_FILENO).has_value();
  }
  return caller;
}

std::string share_tag(std::size_t number) { return fmt::format("share{}", number); }

box::Setup box_setup(const BoxPlan& plan, const GuestSetting& setting, BoxCaller caller) {
  box::Setup setup;
  setup.command = plan.command;
  setup.environment = std::move(caller.environment);
  for (const std::string& variable : setting.environment) set_variable(setup.environment, variable);
  for (const std::string& variable : plan.environment) set_variable(setup.environment, variable);
  setup.directory = plan.workdir;
  setup.directory_required = plan.workdir_required;
  if (!plan.as_root) {
    setup.uid = caller.uid;
    setup.gid = caller.gid;
    setup.groups = std::move(caller.groups);
  }
  setup.terminal = caller.terminal;
  if (caller.error_is_terminal) setup.error_place = box::ErrorPlace::kTerminal;
  setup.umask = caller.umask;
  setup.descriptor_limit = setting.descriptor_limit.value_or(0);
  setup.host_name = std::move(caller.host_name);
  setup.network = network_setup(plan, setting.network);
  for (netns::GuestFile& file : command_files(setting.network, setting.resolver_options)) {
    setup.files.push_back({std::move(file.path), std::move(file.text)});
  }
  for (std::size_t i = 0; i < plan.shares.size(); ++i) {
    setup.shares.push_back({share_tag(i), plan.shares[i].target, plan.shares[i].writable});
  }
  return setup;
}

}  // namespace sluice::serve
