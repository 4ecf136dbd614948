#include "app/compat/rinetd_command.h"

#include <getopt.h>

#include <array>
#include <utility>
#include <vector>

#include "app/forward/forward_plan.h"
#include "forward/supervisor/supervisor.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

// Where init scripts and systemd units of rinetd look for it.
constexpr const char* kDefaultPidFile = "/var/run/rinetd.pid";

constexpr std::string_view kHelp = R"(Usage: rinetd [-f] [-c FILE]

Forward ports as FILE says. This is sluice in the place of rinetd;
'sluice forward --help' lists what it can do besides.

Options:
  -c, --conf-file FILE    read rules there (default: /etc/rinetd.conf)
  -f, --foreground        stay; without it, go to the background and write the
                          process number to /var/run/rinetd.pid
  -h, --help              print this
  -v, --version           print the version

SIGHUP reads FILE again; connections go on, a bad file changes nothing.
)";

}  // namespace

std::expected<RinetdOptions, EarlyExit> parse_rinetd_options(std::span<const char* const> words) {
  constexpr std::array kLong{
      option{"conf-file", required_argument, nullptr, 'c'},
      option{"foreground", no_argument, nullptr, 'f'}, option{"help", no_argument, nullptr, 'h'},
      option{"version", no_argument, nullptr, 'v'}, option{nullptr, 0, nullptr, 0}};
  // getopt sorts the words, never their letters.
  std::vector<char*> sorted;
  sorted.reserve(words.size() + 1);
  for (const char* const word : words) sorted.push_back(const_cast<char*>(word));
  sorted.push_back(nullptr);

  RinetdOptions options;
  ::optind = 0;  // Begin anew, also after another call.
  while (true) {
    const int letter = ::getopt_long(static_cast<int>(words.size()), sorted.data(), "c:fhv",
                                     kLong.data(), nullptr);
    switch (letter) {
      case -1: return options;
      case 'c': options.config_file = ::optarg; break;
      case 'f': options.foreground = true; break;
      case 'h': return std::unexpected(EarlyExit{std::string(kHelp), 0});
      case 'v': return std::unexpected(EarlyExit{"rinetd, by sluice " SLUICE_VERSION "\n", 0});
      default: return std::unexpected(EarlyExit{"", 1});
    }
  }
}

std::expected<int, EarlyExit> start_rinetd(std::span<const char* const> words) {
  const auto options = parse_rinetd_options(words);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program("rinetd");

  const std::string& path = options->config_file;
  const bool daemonise = !options->foreground;
  const auto finish = [daemonise](forward::Plan& plan) {
    if (daemonise && plan.pid_file.empty()) plan.pid_file = kDefaultPidFile;
  };
  auto plan = load_plan(path);
  if (!plan) {
    log_config_errors(plan.error());
    return 1;
  }
  finish(*plan);

  // As rinetd: read again at SIGHUP only, and nothing starts when one listener cannot.
  const forward::SupervisorOptions supervisor{.reload = plan_reader(path, finish),
                                              .config_file = path,
                                              .watch = false,
                                              .output_style = forward::OutputStyle::kRinetd,
                                              .verbose = false,
                                              .skip_bad_listeners = false,
                                              .daemonise = daemonise,
                                              .command_line = {words.begin(), words.end()}};
  return forward::run_forwarder(sys::real_kernel(), std::move(*plan), supervisor);
}

}  // namespace sluice::app
