#include "app/log/log_command.h"

#include <cstdio>
#include <optional>

#include "app/log/formats.h"
#include "app/observe/event_source.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"
#include "base/unreachable.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

std::optional<std::string> converted(LogTarget to, const telemetry::SeenEvent& event) {
  switch (to) {
    case LogTarget::kOcsf: return ocsf_line(event);
    case LogTarget::kEve: return eve_line(event);
    case LogTarget::kZeek: return zeek_line(event);
    case LogTarget::kZeekDns: return zeek_dns_line(event);
    case LogTarget::kZeekSsl: return zeek_ssl_line(event);
  }
  unreachable("format outside its enum");
}

// Of the file; most have none.
std::string head_of(LogTarget to) {
  switch (to) {
    case LogTarget::kOcsf:
    case LogTarget::kEve: return {};
    case LogTarget::kZeek: return zeek_head();
    case LogTarget::kZeekDns: return zeek_dns_head();
    case LogTarget::kZeekSsl: return zeek_ssl_head();
  }
  unreachable("format outside its enum");
}

std::expected<LogTarget, Mistake> read_target(const RawOptions& raw) {
  constexpr std::string_view kExpected = "expected ocsf, eve, zeek, zeek-dns or zeek-ssl";
  if (!raw.has(OptionId::kTo)) return fail("--to is missing; {}", kExpected);
  const std::string& text = raw.all(OptionId::kTo).back();
  if (text == "ocsf") return LogTarget::kOcsf;
  if (text == "eve") return LogTarget::kEve;
  if (text == "zeek") return LogTarget::kZeek;
  if (text == "zeek-dns") return LogTarget::kZeekDns;
  if (text == "zeek-ssl") return LogTarget::kZeekSsl;
  return fail("--to: '{}' is not a format; {}", text, kExpected);
}

// What was passed over, so that nobody takes a part for the whole.
struct Tally {
  std::uint64_t strange = 0;
  std::uint64_t lost = 0;
  std::uint64_t left_out = 0;
};

void tell(const Tally& tally, const std::string& file) {
  if (tally.strange > 0) telemetry::log_warn("'{}': {} lines are no events", file, tally.strange);
  if (tally.lost > 0 || tally.left_out > 0) {
    telemetry::log_warn("'{}': {} events were lost, and {} refusals have none of their own", file,
                        tally.lost, tally.left_out);
  }
}

}  // namespace

std::expected<LogOptions, EarlyExit> parse_log_options(std::span<const char* const> arguments) {
  const Command& command = kLogCommand;
  const auto raw = split_arguments(command, arguments);
  if (!raw) return std::unexpected(usage_error(command.program, raw.error()));
  if (auto exit = help_or_version(command, *raw)) return std::unexpected(std::move(*exit));
  if (raw->words.empty() || raw->words.front() != "convert") {
    return std::unexpected(usage_error(command.program, {"expected 'convert' and a file"}));
  }
  if (raw->words.size() != 2) {
    return std::unexpected(
        usage_error(command.program,
                    {raw->words.size() == 1 ? "no file; expected one that --events writes, or -"
                                            : "more than one file"}));
  }
  const auto to = read_target(*raw);
  if (!to) return std::unexpected(usage_error(command.program, to.error()));
  return LogOptions{.to = *to, .file = raw->words.back()};
}

std::expected<int, EarlyExit> start_log(std::span<const char* const> arguments) {
  const auto options = parse_log_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kLogCommand.program);
  auto source = EventSource::open(options->file, false);
  if (!source) {
    telemetry::log_error("cannot read '{}': {}", options->file,
                         sys::errno_text(source.error().error));
    return 1;
  }
  std::fputs(head_of(options->to).c_str(), stdout);
  Tally tally;
  const auto convert = [&](std::string_view line) {
    const auto event = telemetry::read_event(line);
    if (!event) {
      ++tally.strange;
      return;
    }
    tally.lost += event->count;
    tally.left_out += event->left_out;
    if (const auto text = converted(options->to, *event)) std::puts(text->c_str());
  };
  const auto read = source->read_all(convert, [] { return std::fflush(stdout) == 0; });
  if (!read) {
    telemetry::log_error("'{}': {}", options->file, sys::errno_text(read.error().error));
    return 1;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    telemetry::log_error("writing failed");
    return 1;
  }
  tell(tally, options->file);
  return 0;
}

}  // namespace sluice::app
