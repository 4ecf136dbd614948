// The commands, described: what the parser, --help and the tests of the documents go by.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "app/options/attach_option_table.h"
#include "app/options/option_table.h"
#include "app/options/sight_option_table.h"

namespace sluice::app {

enum class CommandId : std::uint8_t {
  kRun,
  kVm,
  kBox,
  kAttach,
  kForward,
  kPolicy,
  kProfile,
  kDecisions,
  kCtl,
  kWeb,
  kObserve,
  kTop,
  kLog
};

// What the words are that belong to no option.
enum class WordsAre : std::uint8_t {
  kCommandLine,  // Somebody else's: from the first of them on, nothing is an option of ours.
  kOperands,     // Ours: options may stand between them and behind them.
};

struct Command {
  CommandId id;
  std::string_view name;     // "run"
  std::string_view program;  // "sluice run": who speaks in messages.
  std::string_view summary;  // One line of `sluice --help`.
  std::string_view usage;    // What stands behind `program`; a line each.
  std::string_view introduction;
  std::span<const OptionSpec> options;
  std::string_view ending;  // Examples, exit status, signals.
  WordsAre words;
};

extern const Command kRunCommand;
extern const Command kVmCommand;
extern const Command kBoxCommand;
extern const Command kAttachCommand;
extern const Command kForwardCommand;
extern const Command kObserveCommand;
extern const Command kTopCommand;
extern const Command kLogCommand;
extern const Command kCtlCommand;
extern const Command kWebCommand;
extern const Command kPolicyCommand;
extern const Command kProfileCommand;
extern const Command kDecisionsCommand;
// `oi` takes the place of another program; it is not a word behind "sluice".
extern const Command kOiProgram;

// Behind "sluice", in the order of help.
[[nodiscard]] std::span<const Command* const> all_commands();

}  // namespace sluice::app
