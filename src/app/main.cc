// The program: picks the command, reads its options, starts it.
#include <cstdio>
#include <cstdlib>
#include <span>

#include "app/command_line.h"
#include "app/run.h"
#include "telemetry/log.h"

namespace {

int leave(const sluice::app::EarlyExit& exit) {
  std::FILE* const stream = exit.exit_code == 0 ? stdout : stderr;
  std::fputs(exit.text.c_str(), stream);
  // A full disk or a closed pipe behind --help is a failure too.
  if (std::fflush(stream) != 0 && exit.exit_code == 0) return 1;
  return exit.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<const char* const> words(argv, static_cast<std::size_t>(argc));
  // A caller of execve() may pass no name at all.
  const auto arguments = sluice::app::parse_command_line(words.subspan(argc > 0 ? 1 : 0));
  if (!arguments) return leave(arguments.error());

  const char* const shell = std::getenv("SHELL");
  const auto options = sluice::app::parse_run_options(*arguments, shell != nullptr ? shell : "");
  if (!options) return leave(options.error());

  sluice::telemetry::set_log_program("sluice run");
  sluice::telemetry::set_log_level(options->log_level);
  return sluice::app::run_command(*options);
}
