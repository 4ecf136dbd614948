#include "app/help.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "app/option_table.h"

namespace sluice::app {
namespace {

constexpr std::size_t kHelpColumn = 26;

// "-p,--publish" and its value as "  -p, --publish [ADDR:]HOST:GUEST[/udp]".
std::string heading(const OptionSpec& spec) {
  const std::size_t comma = spec.names.find(',');
  std::string text = "  ";
  if (comma == std::string_view::npos) {
    text += fmt::format("    {}", spec.names);
  } else {
    text += fmt::format("{}, {}", spec.names.substr(0, comma), spec.names.substr(comma + 1));
  }
  switch (spec.kind) {
    case OptionKind::kFlag: break;
    case OptionKind::kOptionalValue: text += fmt::format("[={}]", spec.value); break;
    case OptionKind::kValue:
    case OptionKind::kList: text += fmt::format(" {}", spec.value); break;
  }
  return text;
}

void append_option(std::string& out, const OptionSpec& spec) {
  std::string line = heading(spec);
  if (line.size() + 2 > kHelpColumn) {
    out += line + "\n";
    line.clear();
  }
  std::string_view help = spec.help;
  while (!help.empty()) {
    const std::size_t end = help.find('\n');
    fmt::format_to(std::back_inserter(out), "{:<{}}{}\n", line, kHelpColumn, help.substr(0, end));
    line.clear();
    help.remove_prefix(end == std::string_view::npos ? help.size() : end + 1);
  }
}

constexpr std::string_view kRunIntroduction =
    R"(Usage: sluice run [OPTIONS] [--] COMMAND [ARGUMENT]...

Run a command in a network namespace of its own, without privileges. Whatever it
does on the network goes through sluice: decided, counted and, if you like,
told. Options end where COMMAND begins; without one your $SHELL is started.
)";

constexpr std::string_view kRunExamples = R"(
Examples:
  sluice run -- curl https://example.org
      the command has a network, but none of the host's addresses or services
  sluice run --report -- npm install
      ... and in the end a table of whom it talked to
  sluice run --deny 0.0.0.0/0 --deny ::/0 --allow 192.0.2.0/24:443 -- ./build
      one service, and nothing else
  sluice run -p 127.0.0.1:8080:80 -- python3 -m http.server 80
      port 8080 of this machine leads to port 80 of the server
  sluice run --flow-log flows.json --pcap frames.pcap -- ./suspect
      a line of JSON for each flow, and every frame for wireshark
  sluice run -- ping -c1 10.0.2.2
      the gateway that we are

Exit status: that of COMMAND; 128 + N if signal N ended it; 125 if sluice
failed; 126 if COMMAND cannot be executed, 127 if it was not found; 2 for a bad
option.
Signals go to COMMAND. SIGUSR1 prints the counters of dropped packets.
)";

}  // namespace

std::string run_help() {
  std::string text(kRunIntroduction);
  std::string_view group;
  for (const OptionSpec& spec : kRunOptions) {
    if (spec.group != group) {
      group = spec.group;
      text += fmt::format("\n{}:\n", group);
    }
    append_option(text, spec);
  }
  text += kRunExamples;
  return text;
}

std::string main_help() {
  return R"(Usage: sluice run [OPTIONS] [--] COMMAND [ARGUMENT]...
       sluice help [run]
       sluice --version

User-mode networking: a network for a command, without privileges.

Commands:
  run     start a command in a network namespace of its own
  help    print this, or the help of a command

'sluice help run' lists the options and has examples.
)";
}

std::string version_text() { return "sluice " SLUICE_VERSION "\n"; }

}  // namespace sluice::app
