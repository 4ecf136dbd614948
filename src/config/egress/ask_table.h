// The [ask] of a file of policy.
#pragma once

#include "config/messages.h"
#include "config/toml_reader.h"
#include "policy/ask/ask_settings.h"

namespace sluice::config {

// How long people are waited for, at least and at most: the guest's kernel gives a connection up
// after two minutes, its programs sooner, and a question that stays for an hour is as good as none.
inline constexpr Duration kAskTimeoutMin = std::chrono::seconds{1};
inline constexpr Duration kAskTimeoutMax = std::chrono::hours{1};

// Keeps what the document does not say.
void read_ask_table(TomlReader& document, policy::AskSettings& into, Messages& messages);

}  // namespace sluice::config
