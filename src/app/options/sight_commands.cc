// The commands that read what others have written.
#include "app/options/command.h"

namespace sluice::app {

constinit const Command kObserveCommand{
    .id = CommandId::kObserve,
    .name = "observe",
    .program = "sluice observe",
    .summary = "show what happens in a run",
    .usage = "[OPTIONS] FILE",
    .introduction =
        R"(Show the events that 'sluice run --events FILE' and its like write, one in a
line: when, what, with whom by name, and why. A '-' is standard input. Given
several times, an option is for any of its values; different options must hold
all.
)",
    .options = kObserveOptions,
    .ending = R"(
Examples:
  sluice run --events e.jsonl -- ./build &  sluice observe -f e.jsonl
      every flow as it begins and ends
  sluice observe -f --denied --name '*.example.org' e.jsonl
      refusals of one domain, as they come
  sluice observe --json --port 443 e.jsonl | jq .name
      for programs; docs/events.md says what there is

Exit status: 0; 1 if FILE cannot be read; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kLogCommand{
    .id = CommandId::kLog,
    .name = "log",
    .program = "sluice log",
    .summary = "what happened in a run, as other tools have it",
    .usage = "convert --to FORMAT FILE",
    .introduction =
        R"(Print the events that 'sluice run --events FILE' and its like have written in
the form of another tool. A '-' is standard input.
)",
    .options = kLogOptions,
    .ending = R"(
Examples:
  sluice log convert --to ocsf e.jsonl > network_activity.jsonl
  sluice log convert --to zeek e.jsonl | zeek-cut id.resp_h sluice_name

Exit status: 0; 1 if FILE cannot be read; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

}  // namespace sluice::app
