// The program: finds out which command is meant, and starts it.
#include <cstdio>
#include <expected>
#include <span>

#include "app/attach/attach.h"
#include "app/box/box.h"
#include "app/command_line.h"
#include "app/compat/oi_command.h"
#include "app/compat/passt_command.h"
#include "app/compat/pasta/pasta_command.h"
#include "app/compat/rinetd_command.h"
#include "app/compat/slirp4netns/slirp_command.h"
#include "app/ctl/ctl.h"
#include "app/ctl/decisions_command.h"
#include "app/forward/forward_command.h"
#include "app/log/log_command.h"
#include "app/observe/observe.h"
#include "app/policy/policy_command.h"
#include "app/run/run.h"
#include "app/top/top.h"
#include "app/vm/vm.h"
#include "app/web/web.h"
#include "base/unreachable.h"
#include "sys/descriptors.h"

namespace {

using sluice::app::CommandId;
using sluice::app::EarlyExit;
using sluice::app::Program;
using Words = std::span<const char* const>;

int leave(const EarlyExit& exit) {
  std::FILE* const stream = exit.exit_code == 0 ? stdout : stderr;
  std::fputs(exit.text.c_str(), stream);
  // A full disk or a closed pipe behind --help is a failure too.
  if (std::fflush(stream) != 0 && exit.exit_code == 0) return 1;
  return exit.exit_code;
}

std::expected<int, EarlyExit> start_sluice(Words words) {
  const auto invocation = sluice::app::parse_command_line(words.subspan(1));
  if (!invocation) return std::unexpected(invocation.error());
  switch (invocation->command) {
    case CommandId::kRun: return sluice::app::start_run(invocation->arguments);
    case CommandId::kVm: return sluice::app::start_vm(invocation->arguments);
    case CommandId::kBox: return sluice::app::start_box(invocation->arguments);
    case CommandId::kAttach: return sluice::app::start_attach(invocation->arguments);
    case CommandId::kCtl: return sluice::app::start_ctl(invocation->arguments);
    case CommandId::kWeb: return sluice::app::start_web(invocation->arguments);
    case CommandId::kObserve: return sluice::app::start_observe(invocation->arguments);
    case CommandId::kTop: return sluice::app::start_top(invocation->arguments);
    case CommandId::kLog: return sluice::app::start_log(invocation->arguments);
    case CommandId::kForward: return sluice::app::start_forward(words, invocation->arguments);
    case CommandId::kPolicy: return sluice::app::start_policy(invocation->arguments);
    case CommandId::kDecisions: return sluice::app::start_decisions(invocation->arguments);
    case CommandId::kProfile: return sluice::app::start_profile(invocation->arguments);
  }
  sluice::unreachable("command outside its enum");
}

std::expected<int, EarlyExit> start(Words words) {
  switch (sluice::app::program_called(words.front())) {
    case Program::kSluice: return start_sluice(words);
    case Program::kRinetd: return sluice::app::start_rinetd(words);
    case Program::kOi: return sluice::app::start_oi(words);
    case Program::kPasst: return sluice::app::start_passt(words);
    case Program::kPasta: return sluice::app::start_pasta(words);
    case Program::kSlirp4netns: return sluice::app::start_slirp4netns(words);
  }
  sluice::unreachable("program outside its enum");
}

}  // namespace

int main(int argc, char** argv) {
  // There is nobody to tell why.
  constexpr int kSetupFailed = 125;
  if (!sluice::sys::fill_standard_descriptors()) return kSetupFailed;
  // A caller of execve() may pass no name at all.
  constexpr const char* kNoName = "sluice";
  const Words words = argc > 0 ? Words(argv, static_cast<std::size_t>(argc)) : Words(&kNoName, 1);
  const auto status = start(words);
  return status ? *status : leave(status.error());
}
