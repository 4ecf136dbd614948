// What `sluice attach --help` says.
#include "app/options/command.h"

namespace sluice::app {

constinit const Command kAttachCommand{
    .id = CommandId::kAttach,
    .name = "attach",
    .program = "sluice attach",
    .summary = "the network of a namespace that is there already",
    .usage = "[OPTIONS] TARGET\n[OPTIONS] --netns PATH",
    .introduction =
        R"(Be the network of a namespace that somebody else has made: of a container, of
'unshare -n', of 'ip netns add'. TARGET is the number of a process in it, the
path of its file, or its name below /run/netns. An interface is made there, with
addresses and routes; nothing else of it is touched, so that whoever made it
says in its /etc/resolv.conf that 10.0.2.3 answers DNS. We end when no process
is in it any more and no file of it is mounted.
)",
    .options = kAttachOptions,
    .ending = R"(
Examples:
  unshare -rn sleep 600 &
  sluice attach $!
      in a second terminal: nsenter -t PID -U -n --preserve-credentials curl ...
  ip netns add lab; sluice attach --background --pid-file lab.pid lab
      as root: a namespace with a name, which we serve until it is deleted
  sluice attach --allow '*.debian.org' --report 4711
      only these names; and in the end a table of whom it talked to

Signals:
  SIGTERM, SIGINT, SIGHUP  deliver what was sent, take the interface away, and
                           end; a second one: end now
  SIGUSR1                  print the counters of dropped packets

Exit status: 0; 125 if sluice could not start; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

}  // namespace sluice::app
