#include "app/web/web_options.h"

#include <string>
#include <utility>

#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"

namespace sluice::app {
namespace {

[[nodiscard]] std::expected<WebOptions, Mistake> read(const RawOptions& raw) {
  WebOptions options;
  if (!raw.words.empty()) return fail("'{}' is too much", raw.words.front());
  for (const std::string& text : raw.all(OptionId::kListen)) {
    const bool whole = text.find(':') != std::string::npos;
    const auto endpoint = wire::parse_endpoint(whole ? text : "127.0.0.1:" + text);
    if (!endpoint) {
      return fail("--listen: '{}' is not an address; expected one as 127.0.0.1:8080 or [::1]:8080",
                  text);
    }
    // Requests and their secrets go over the wire as they are.
    if (!endpoint->address.is_loopback()) {
      return fail("--listen: '{}' is not on loopback; from elsewhere use ssh -L", text);
    }
    options.listen = *endpoint;
  }
  return options;
}

}  // namespace

std::expected<WebOptions, EarlyExit> parse_web_options(std::span<const char* const> arguments) {
  const auto raw = split_arguments(kWebCommand, arguments);
  if (!raw) return std::unexpected(usage_error(kWebCommand.program, raw.error()));
  if (auto exit = help_or_version(kWebCommand, *raw)) return std::unexpected(std::move(*exit));
  auto options = read(*raw);
  if (!options) return std::unexpected(usage_error(kWebCommand.program, options.error()));
  return *options;
}

}  // namespace sluice::app
