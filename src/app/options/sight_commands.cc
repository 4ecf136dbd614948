// The commands by which people see what runs, and read what others have written.
#include "app/options/command.h"

namespace sluice::app {

constinit const Command kWebCommand{
    .id = CommandId::kWeb,
    .name = "web",
    .program = "sluice web",
    .summary = "the same on a page of this machine's browser",
    .usage = "[OPTIONS]",
    .introduction =
        R"(Serve a page on loopback that shows all that runs of this user: what waits for
an answer, flows by the domain that they are with, refusals, names, the policy.
Answers are given there, flows are ended, and rules are made of refusals.
The address of the page is printed, with a token; who has not opened it by that
gets nothing. Ends with SIGINT.
)",
    .options = kWebOptions,
    .ending = R"(
Examples:
  sluice web
      open what it prints
  sluice web --listen 8080
      ... on a port of your choice, as for 'ssh -L 8080:127.0.0.1:8080 HOST'

Exit status: 0; 1 if the page cannot be served; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kObserveCommand{
    .id = CommandId::kObserve,
    .name = "observe",
    .program = "sluice observe",
    .summary = "show what happens in a run",
    .usage =
        "[OPTIONS] [RUN]\n"
        "[OPTIONS] FILE",
    .introduction =
        R"(Show what happens in a run, one event in a line: when, what, with whom by name,
and why. RUN names a run that lives ('sluice ctl' lists them), which is watched
until it ends; without it the only one of yours. FILE is what --events has
written; a '-' is standard input. Given several times, an option is for any of
its values; different options must hold all.
)",
    .options = kObserveOptions,
    .ending = R"(
Examples:
  sluice observe
      every flow, question and refusal of the run that lives, as it comes
  sluice observe -f e.jsonl
      the same of a file that is being written
  sluice observe -f --denied --name '*.example.org' e.jsonl
      refusals of one domain, as they come
  sluice observe --json --port 443 e.jsonl | jq .name
      for programs; docs/events.md says what there is

Exit status: 0; 1 if FILE cannot be read, or the run is gone without a last
word; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kTopCommand{
    .id = CommandId::kTop,
    .name = "top",
    .program = "sluice top",
    .summary = "the flows of a run on a terminal, as they are",
    .usage = "[OPTIONS] [RUN]",
    .introduction =
        R"(Show the flows of a run each second: by the domain that somebody registered,
with what they move in a second and in all, who moves it (we, by the tap, or the
guest's kernel), and the process that has them, where you may see it. RUN names
a run ('sluice ctl' lists them); without it the only one of yours.
)",
    .options = kTopOptions,
    .ending = R"(
Keys:
  q quit; s order by rate, total, flows, name or age; p or space pause;
  / show only what holds some letters; up, down choose; enter show the flows of
  a domain, or hide them; k end the chosen flow, or all of a domain

Colours are left out where NO_COLOR is set, or on a dumb terminal.
Exit status: 0; 1 if there is no such run, or no terminal; 2 for a bad option.
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
