// The thread that does not forward: it opens listeners, starts workers, answers signals, reloads,
// resolves names, checks health, hands over to a new binary, and waits for the end.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "forward/plan.h"
#include "sys/kernel.h"

namespace sluice::forward {

// Whose words are printed. rinetd prints none; oi's are what its users' scripts wait for.
enum class OutputStyle : std::uint8_t { kSluice, kRinetd, kOi };

struct SupervisorOptions {
  // Makes the plan anew; the error is ready to print. Null: rules came from the command line.
  std::function<std::expected<Plan, std::string>()> reload;
  std::string config_file;  // Watched for changes unless empty.
  bool watch = true;        // Reload when config_file changes, not only on SIGHUP.
  OutputStyle output_style = OutputStyle::kSluice;
  bool verbose = false;
  // A listener that cannot be opened is reported and skipped while the others run (oi, rinetd);
  // otherwise nothing starts.
  bool skip_bad_listeners = false;
  std::string
      user{};  // Whom to become, "NAME" or "NAME:GROUP"; empty: nobody in the place of root.
  bool daemonise = false;                 // rinetd without -f: detach once everything listens.
  std::string events_file{};              // Of the event stream; empty: none.
  std::vector<std::string> command_line;  // For SIGUSR2: what to execute, argv[0] first.
};

// Returns the exit status: 0 after a drain, 1 when it could not start.
[[nodiscard]] int run_forwarder(sys::Kernel& kernel, Plan plan, const SupervisorOptions& options);

}  // namespace sluice::forward
