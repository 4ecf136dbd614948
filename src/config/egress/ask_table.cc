#include "config/egress/ask_table.h"

#include <fmt/core.h>

#include "config/setting_names.h"
#include "config/units.h"

namespace sluice::config {
namespace {

using policy::AnswerScope;

constexpr std::uint64_t kPendingMax = 1024;

constexpr Named<AnswerScope> kScopes[] = {
    {"once", AnswerScope::kOnce}, {"run", AnswerScope::kRun}, {"always", AnswerScope::kAlways}};
// Silence is no consent: there is but one.
enum class OnTimeout : std::uint8_t { kDeny };
constexpr Named<OnTimeout> kOnTimeout[] = {{"deny", OnTimeout::kDeny}};

}  // namespace

void read_ask_table(TomlReader& document, policy::AskSettings& into, Messages& messages) {
  const TomlTable* const table = document.table("ask");
  if (table == nullptr) return;
  TomlReader reader(*table, "ask", messages);
  if (const auto timeout = reader.duration("timeout", kAskTimeoutMin)) {
    if (*timeout > kAskTimeoutMax) {
      reader.wrong("timeout",
                   fmt::format("is {}; expected an hour at most", format_duration(*timeout)));
    } else {
      into.timeout = *timeout;
    }
  }
  if (const auto pending = reader.integer("pending", 1, kPendingMax)) into.pending = *pending;
  (void)reader.choice("on-timeout", kOnTimeout);
  assign(into.remember, reader.choice("remember", kScopes));
  reader.finish(TomlReader::Unknown::kError);
}

}  // namespace sluice::config
