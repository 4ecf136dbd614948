#include "app/options/command.h"

#include "app/options/ctl_option_table.h"

namespace sluice::app {

constinit const Command kRunCommand{
    .id = CommandId::kRun,
    .name = "run",
    .program = "sluice run",
    .summary = "start a command in a network namespace of its own",
    .usage = "[OPTIONS] [--] COMMAND [ARGUMENT]...",
    .introduction =
        R"(Run a command in a network namespace of its own, without privileges. Whatever it
does on the network goes through sluice: decided, counted and, if you like,
told. Options end where COMMAND begins; without one your $SHELL is started.
)",
    .options = kRunOptions,
    .ending = R"(
Examples:
  sluice run -- curl https://example.org
      the command has a network, but none of the host's addresses or services
  sluice run --report -- npm install
      ... and in the end a table of whom it talked to
  sluice run --allow registry.npmjs.org:443 -- npm install
      one service by its name, and nothing else
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
)",
    .words = WordsAre::kCommandLine,
};

constinit const Command kVmCommand{
    .id = CommandId::kVm,
    .name = "vm",
    .program = "sluice vm",
    .summary = "the network of a virtual machine",
    .usage =
        "[OPTIONS] --socket PATH | --vhost-user PATH\n"
        "[OPTIONS] --datagram PATH | --seqpacket PATH | --fd N",
    .introduction =
        R"(Be the network of a virtual machine, without privileges. Its monitor hands us
its frames by a socket; addresses, routes and resolvers the guest learns by DHCP
and router advertisements. Whatever it does is decided, counted and, if you
like, told. One machine is served at a time; one that connects again finds its
connections.
)",
    .options = kVmOptions,
    .ending = R"(
Examples:
  sluice vm --socket /tmp/vm0.sock
  qemu-system-x86_64 ... \
    -netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/vm0.sock \
    -device virtio-net-pci,netdev=n0
      QEMU 7.2 or later; with ',reconnect-ms=500' (9.2) it outlives us
  sluice vm --socket /tmp/vm0.sock -p 127.0.0.1:2222:22 --report
      port 2222 of this machine leads to the guest's ssh; a table in the end
  sluice vm --seqpacket /tmp/uml.sock
  linux.uml ... vec0:transport=bess,dst=/tmp/uml.sock
      User Mode Linux
  sluice vm --vhost-user /tmp/vm0.sock
  qemu-system-x86_64 ... -m 1G -machine memory-backend=m0 \
    -object memory-backend-memfd,id=m0,size=1G,share=on \
    -chardev socket,id=c0,path=/tmp/vm0.sock,reconnect=1 \
    -netdev vhost-user,id=n0,chardev=c0 -device virtio-net-pci,netdev=n0
      the machine's memory is shared, and no frame is copied by its monitor
  sluice vm --one-off --fd 3
      a socket that whoever starts us has opened, as muvm and Lima do

Signals:
  SIGTERM, SIGINT, SIGHUP  deliver what the guest has sent, and end; a second
                           one: end now
  SIGUSR1                  print the counters of dropped packets

Exit status: 0; 125 if sluice could not start; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kBoxCommand{
    .id = CommandId::kBox,
    .name = "box",
    .program = "sluice box",
    .summary = "start a command in a virtual machine of its own",
    .usage = "[OPTIONS] [--] COMMAND [ARGUMENT]...",
    .introduction =
        R"(Run a command in a virtual machine of its own, by KVM. It sees the files of this
machine, which it cannot change, as whoever you are, where you are; its network
is sluice, as for 'sluice run'. Options end where COMMAND begins; without one
your $SHELL is started.
)",
    .options = kBoxOptions,
    .ending = R"(
Examples:
  sluice box -- make -j2
      compiled, and what was written is gone in the end
  sluice box --share . -- make -j2
  sluice box --share .:rw -- make -j2
      ... with this folder as it is; and with what is written kept
  sluice box --deny 0.0.0.0/0 --deny ::/0 --report -- ./suspect
      a kernel of its own, and no network; a table of whom it asked for
  sluice box -p 127.0.0.1:8080:80 --as-root -- python3 -m http.server 80
      port 8080 of this machine leads to port 80 of that one
  sluice box --root ./debian --memory 4GiB --cpus 8 -- /bin/bash
      another system's files

Exit status: that of COMMAND; 128 + N if signal N ended it; 125 if sluice or the
machine failed; 126 if COMMAND cannot be executed, 127 if it was not found; 2
for a bad option.
Signals go to COMMAND. SIGUSR1 prints the counters of dropped packets.
)",
    .words = WordsAre::kCommandLine,
};

constinit const Command kForwardCommand{
    .id = CommandId::kForward,
    .name = "forward",
    .program = "sluice forward",
    .summary = "forward ports to other addresses",
    .usage = "[OPTIONS] LISTEN TARGET [LISTEN TARGET]...\n[OPTIONS] -c FILE",
    .introduction =
        R"(Accept connections and datagrams at LISTEN and carry them to TARGET, both ways.

LISTEN is PORT, ADDRESS:PORT, [IPV6]:PORT or a range as 8000-8009, with tcp://
or udp:// in front if you like, or unix:PATH, or systemd:NAME. TARGET is the
same, with an address or a name; several are separated by commas, and clients
are balanced among them.
TIME is 30s, 500ms, 10m or 1h; a plain number is seconds.
)",
    .options = kForwardOptions,
    .ending = R"(
Examples:
  sluice forward 8080 10.0.0.2:80
      port 8080 of this machine leads to a web server
  sluice forward --proxy-out=v2 tcp://[::]:443 10.0.0.2:443,10.0.0.3:443
      two servers take turns, and are told who the client is
  sluice forward --check -c /etc/rinetd.conf
      what an existing file means; without --check: run it

Signals:
  SIGHUP           read FILE again; connections go on; a bad one is refused
  SIGUSR1          print the counters of every rule
  SIGUSR2          start the installed program anew; it takes over the listeners
  SIGTERM, SIGINT  accept no more, let connections finish; a second one: end now

Exit status: 0 after SIGTERM or SIGINT; 1 if it could not start; 2 for a bad
option or a bad FILE.
Called as rinetd or oi, it takes the options of that program.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kCtlCommand{
    .id = CommandId::kCtl,
    .name = "ctl",
    .program = "sluice ctl",
    .summary = "look at what runs, and change it",
    .usage = "[OPTIONS]\n[OPTIONS] [RUN] REQUEST",
    .introduction =
        R"(Without a REQUEST: list what runs of this user, each with the name by which it
is spoken to. With one: have RUN carry it out; RUN may be left out where there
is only one. The guest cannot do any of this.

Requests:
  status          how it stands, and what was dropped or refused
  flows           what lives, whom it is with, and what it has carried
  kill FLOW       end one of them: both sides are reset
  allow RULE      add a rule to its policy, as --allow and --deny of
  deny RULE       'sluice run'; what is not allowed any more ends at once
  published       ports that are published
  publish SPEC    one more, as --publish of 'sluice run'
  unpublish SPEC  one less; connections that were accepted go on
  rules           the rules in the order in which they count, and how often each
                  has decided
  refused         names that were asked for and refused, how often and why
  reload          read the files of its policy again, or a forwarder's; what is
                  not allowed any more ends at once
  subscribe       print events as they happen, a line of JSON each
  pending         what is asked: connections that wait for you, and what nobody
                  has answered
  approve ID [once|run|always] [name:port|name|domain]
  refuse ID [once|run|always] [name:port|name|domain]
                  answer a question; 'always' is kept for later runs
  answer          stay, show questions as they come, and read such answers; as
                  long as it runs there is somebody to ask
)",
    .options = kCtlOptions,
    .ending = R"(
Examples:
  sluice ctl
      what runs
  sluice ctl flows
      the flows of the only one
  sluice ctl k3f9wa deny 192.0.2.0/24
      from here on none of these, and those that live are reset

Exit status: 0; 1 if the run refuses, or there is none; 2 for a bad option.
)",
    .words = WordsAre::kOperands,
};

constinit const Command kOiProgram{
    .id = CommandId::kForward,
    .name = "oi",
    .program = "oi",
    .summary = "",
    .usage = "--config FILE [--verbose]",
    .introduction = R"(Forward ports as FILE says. This is sluice in the place of oi;
'sluice forward --help' lists what it can do besides.
)",
    .options = kOiOptions,
    .ending = "",
    .words = WordsAre::kOperands,
};

std::span<const Command* const> all_commands() {
  static constexpr const Command* kAll[] = {
      &kRunCommand,        //
      &kVmCommand,         //
      &kBoxCommand,        //
      &kAttachCommand,     //
      &kForwardCommand,    //
      &kPolicyCommand,     //
      &kProfileCommand,    //
      &kDecisionsCommand,  //
      &kCtlCommand,        //
      &kWebCommand,        //
      &kObserveCommand,    //
      &kTopCommand,        //
      &kLogCommand,        //
  };
  return kAll;
}

}  // namespace sluice::app
