#include "app/observe/live_events.h"

#include <chrono>
#include <utility>

#include "app/ctl/run_client.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

using control::Connection;

// Breaks without a line between them, after which something else is wrong.
constexpr int kBreaksMax = 3;

[[nodiscard]] std::expected<void, std::string> subscribe(Connection& run) {
  const auto asked = ask(run, request_line(control::Verb::kSubscribe));
  if (!asked) return std::unexpected(asked.error());
  if (!asked->ok()) return std::unexpected(message_of(*asked));
  run.set_patience(std::chrono::seconds(0));
  return {};
}

}  // namespace

std::expected<void, std::string> watch_run(const std::string& run,
                                           const std::function<Shown(std::string_view)>& on_line) {
  auto connection = connect_to_run(run);
  if (!connection) return std::unexpected(connection.error());
  const std::string name = connection->run();
  if (auto begun = subscribe(*connection); !begun) return begun;
  for (int breaks = 0;;) {
    while (const auto line = connection->read_line()) {
      breaks = 0;
      if (on_line(*line) != Shown::kGoOn) return {};
    }
    auto again = Connection::open(name);
    if (!again || ++breaks > kBreaksMax) {
      return std::unexpected("the run is gone, without a last word");
    }
    if (auto begun = subscribe(*again); !begun) return begun;
    telemetry::log_warn("the stream broke off; what happened meanwhile is missing");
    connection = std::move(again);
  }
}

}  // namespace sluice::app
