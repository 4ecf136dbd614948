// Options as passt and pasta have them: a name, perhaps a letter, and what becomes of the draft
// where one is given. Each program has a table of its own besides the one here.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "app/compat/passt_draft.h"
#include "app/options/early_exit.h"

namespace sluice::app {

struct PasstGiven {
  std::string_view option;  // As messages name it.
  std::string_view text;    // Its value; empty of a flag.
};

using PasstTaken = std::expected<void, Mistake>;

struct PasstOption {
  const char* name;
  char letter;        // 0: none.
  const char* value;  // Its name in --help; null of a flag.
  const char* help;   // Empty: taken, and not talked about.
  PasstTaken (*take)(PasstDraft& draft, PasstGiven given);
};

// What both programs have, in the order of passt(1).
[[nodiscard]] std::span<const PasstOption> common_passt_options();

// An option of ours means the same.
template <OptionId kId>
PasstTaken pass_on(PasstDraft& draft, PasstGiven given) {
  draft.value(kId, given.text);
  return {};
}
[[nodiscard]] PasstTaken take_mac(PasstGiven given, std::optional<wire::MacAddress>& mac);
// "none" forgets what was named before.
[[nodiscard]] PasstTaken take_ports(PasstDraft& draft, PasstGiven given, policy::Protocol protocol);

}  // namespace sluice::app
