#include "app/options/command.h"
#include "app/options/policy_option_table.h"

namespace sluice::app {

constinit const Command kPolicyCommand{
    .id = CommandId::kPolicy,
    .name = "policy",
    .program = "sluice policy",
    .summary = "check a policy, and ask it",
    .usage =
        "[OPTIONS] check|explain [FILE]...\n"
        "[OPTIONS] test [FILE]... PROTOCOL TARGET\n"
        "[OPTIONS] diff BEFORE AFTER",
    .introduction =
        R"(Say what a policy means, without a guest: of files (see sluice-policy(5)), and
of the options that 'sluice run' has.
  check    whether it is one, and in one line what it is
  explain  its rules, the most specific first
  test     whether a target may be reached, and by which rule
  diff     which rules two files do not share
)",
    .options = kPolicyOptions,
    .ending = R"(
Examples:
  sluice policy test ci.toml tcp pypi.org:443
  sluice policy --profile python test tcp pypi.org:443
  sluice policy explain ci.toml

Exit status: 0; 1 if the answer of 'test' is no, or if files of 'diff' differ; 2
for a mistake in a policy or a bad option.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kProfileCommand{
    .id = CommandId::kProfile,
    .name = "profile",
    .program = "sluice profile",
    .summary = "show the profiles that there are",
    .usage = "[OPTIONS] list\n[OPTIONS] show NAME",
    .introduction =
        R"(Profiles are files of policy for a purpose, which 'sluice run --profile NAME'
takes: your own in ~/.config/sluice/profiles, and those that come with sluice.
)",
    .options = kProfileOptions,
    .ending = R"(
Examples:
  sluice profile list
  sluice profile show python
      its rules, and what to know before it is used

Exit status: 0; 2 if there is no such profile, or for a bad option.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kDecisionsCommand{
    .id = CommandId::kDecisions,
    .name = "decisions",
    .program = "sluice decisions",
    .summary = "what was answered for always",
    .usage = "[OPTIONS] list\n[OPTIONS] forget NUMBER|RULE|all",
    .introduction =
        R"(What you answered 'always' when a run asked is remembered in
~/.config/sluice/decisions.toml, and counts in later runs where their policy
asks.
)",
    .options = kProfileOptions,
    .ending = R"(
Examples:
  sluice decisions list
  sluice decisions forget 2
  sluice decisions forget example.com:443/tcp

Exit status: 0; 1 if the file cannot be read or written, or there is no such
decision; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

}  // namespace sluice::app
