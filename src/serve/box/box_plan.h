// A machine that we make for a command, as a command line describes it: plain values, checked, with
// defaults filled in. Nothing of it is opened yet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::serve {

// A folder of the host's that the machine sees.
struct BoxShare {
  std::string path{};    // On the host; absolute.
  std::string target{};  // In the machine; absolute, and not its root.
  bool writable = false;
};

struct BoxPlan {
  std::vector<std::string> command{};  // Never empty; as for execvp().
  // Added to the environment that we have, or in the place of what it has: NAME=VALUE.
  std::vector<std::string> environment{};
  std::string workdir{};          // Absolute, in the machine.
  bool workdir_required = false;  // It was asked for; otherwise "/" does as well.
  bool as_root = false;           // The command is user 0 there; otherwise who we are.

  std::uint32_t cpus = 1;     // 1 to kCpusMax.
  std::uint64_t memory = 0;   // Bytes, whole pages.
  std::string kernel{};       // A file; empty: one that is found.
  bool fetch_kernel = false;  // Where none is found the distribution's is fetched.

  std::string root = "/";  // What is the machine's root, of which nothing changes; absolute.
  std::vector<BoxShare> shares{};
  // Folders of the host's that the machine finds empty, in whatever it sees; absolute.
  std::vector<std::string> hidden{};

  std::string interface = "eth0";
  std::uint16_t net_queues = 1;    // Pairs of queues, 1 to kNetQueuesMax.
  bool ipv4_default_route = true;  // As CommandPlan has it (command_guest.h).

  static constexpr std::uint32_t kCpusMax = 16;
  static constexpr std::uint16_t kNetQueuesMax = 16;
  static constexpr std::size_t kSharesMax = 12;
};

}  // namespace sluice::serve
