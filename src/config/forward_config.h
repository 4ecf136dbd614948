// Configuration of `sluice forward`: files in three forms, and rules on a command line.
//
// A name that ends in ".toml" is TOML (ours, of which oxidinetd's is a part), anything else is
// rinetd's form. Nothing is opened or resolved here but the file itself.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "forward/plan.h"

namespace sluice::config {

// One line to a person: what is wrong, what was expected, how to mend it.
struct ConfigMessage {
  forward::Source where;
  std::string text;
  // "rules.toml:12: unknown key 'conect_port'; did you mean 'connect_port'?"
  [[nodiscard]] std::string describe() const;
};

struct LoadedPlan {
  forward::Plan plan;
  std::vector<ConfigMessage> warnings;
};

// All mistakes of a file, in its order (one at least), with what would have been warnings.
using ConfigErrors = std::vector<ConfigMessage>;

[[nodiscard]] std::expected<LoadedPlan, ConfigErrors> load_forward_config(const std::string& path);

// The text of a file, named `file` in messages. Pure: for tests and fuzzers.
[[nodiscard]] std::expected<LoadedPlan, ConfigErrors> parse_rinetd_conf(std::string_view text,
                                                                        const std::string& file);
[[nodiscard]] std::expected<LoadedPlan, ConfigErrors> parse_forward_toml(std::string_view text,
                                                                         const std::string& file);

// A pair of words of the command line: "8080 10.0.0.2:80", "tcp://[::]:8080 db.example:5432",
// "udp://:53 udp://10.0.0.3:53", "unix:/run/x.sock 10.0.0.2:80", "8000-8009 10.0.0.2:9000-9009".
// The error completes "'LISTEN TARGET': …".
[[nodiscard]] std::expected<forward::Rule, std::string> parse_rule_words(std::string_view listen,
                                                                         std::string_view target);

// The effective rules, with every default, as aligned text for a person (--check).
[[nodiscard]] std::string describe_plan(const forward::Plan& plan);
// The same as JSON.
[[nodiscard]] std::string describe_plan_json(const forward::Plan& plan);

}  // namespace sluice::config
