#include "app/observe/observe.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <utility>

#include "app/ctl/ctl_tables.h"
#include "app/observe/event_source.h"
#include "app/observe/live_events.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/raw_options.h"
#include "telemetry/events/event_row.h"
#include "telemetry/events/run_id.h"
#include "telemetry/log.h"

namespace sluice::app {
namespace {

struct FilterOption {
  OptionId id;
  std::string_view option;
  std::string_view kind;  // As the filter calls it.
};

constexpr std::array kFilterOptions{
    FilterOption{OptionId::kType, "--type", "type"},
    FilterOption{OptionId::kName, "--name", "name"},
    FilterOption{OptionId::kProto, "--proto", "proto"},
    FilterOption{OptionId::kPort, "--port", "port"},
    FilterOption{OptionId::kPeer, "--peer", "peer"},
    FilterOption{OptionId::kReason, "--reason", "reason"},
    FilterOption{OptionId::kFlow, "--flow", "flow"},
};

std::expected<void, Mistake> read_filter(const RawOptions& raw, telemetry::EventFilter& filter) {
  if (raw.has(OptionId::kDenied)) filter.want_denied();
  for (const FilterOption& one : kFilterOptions) {
    for (const std::string& text : raw.all(one.id)) {
      const auto added = filter.add(one.kind, text);
      if (!added) return fail("{}: {}", one.option, added.error());
    }
  }
  return {};
}

class Viewer {
 public:
  explicit Viewer(const ObserveOptions& options)
      : options_(options), color_(telemetry::color_for(STDOUT_FILENO)) {}

  void show(std::string_view line) {
    const auto event = telemetry::read_event(line);
    if (!event) {
      ++strange_;
      return;
    }
    ended_ = event->type == "end";
    if (!options_.filter.wants(*event)) return;
    if (options_.json) {
      (void)std::fwrite(line.data(), 1, line.size(), stdout);
      (void)std::fputc('\n', stdout);
    } else {
      std::fputs(telemetry::event_row(*event, color_, terminal_width()).c_str(), stdout);
    }
  }
  // Lines that were no events.
  [[nodiscard]] std::uint64_t strange() const { return strange_; }
  // The last line was the last of its run.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  const ObserveOptions& options_;
  telemetry::Color color_;
  std::uint64_t strange_ = 0;
  bool ended_ = false;
};

// A file may be called as a run is, and then it is the file.
bool names_a_run(const std::string& what) {
  return what.empty() || (telemetry::is_run_id(what) && ::access(what.c_str(), F_OK) != 0);
}

int observe_run(const ObserveOptions& options, Viewer& viewer) {
  const auto watched = watch_run(options.what, [&](std::string_view line) {
    viewer.show(line);
    if (viewer.ended()) return Shown::kLast;
    return std::fflush(stdout) == 0 ? Shown::kGoOn : Shown::kNobody;
  });
  if (!watched) telemetry::log_error("{}", watched.error());
  return watched && std::fflush(stdout) == 0 ? 0 : 1;
}

int observe_file(const ObserveOptions& options, Viewer& viewer) {
  auto source = EventSource::open(options.what, options.follow);
  if (!source) {
    telemetry::log_error("cannot read '{}': {}", options.what,
                         sys::errno_text(source.error().error));
    return 1;
  }
  const auto read = source->read_all([&](std::string_view line) { viewer.show(line); },
                                     [] { return std::fflush(stdout) == 0; });
  if (!read) {
    telemetry::log_error("'{}': {}", options.what, sys::errno_text(read.error().error));
    return 1;
  }
  if (viewer.strange() > 0) {
    telemetry::log_warn("'{}': {} line{} no event{}", options.what, viewer.strange(),
                        viewer.strange() == 1 ? " is" : "s are", viewer.strange() == 1 ? "" : "s");
  }
  return 0;
}

}  // namespace

std::expected<ObserveOptions, EarlyExit> parse_observe_options(
    std::span<const char* const> arguments) {
  const Command& command = kObserveCommand;
  const auto raw = split_arguments(command, arguments);
  if (!raw) return std::unexpected(usage_error(command.program, raw.error()));
  if (auto exit = help_or_version(command, *raw)) return std::unexpected(std::move(*exit));
  if (raw->words.size() > 1) {
    return std::unexpected(usage_error(command.program, {"more than one run, or file"}));
  }
  ObserveOptions options{.what = raw->words.empty() ? "" : raw->words.front(),
                         .follow = raw->has(OptionId::kFollow),
                         .json = raw->has(OptionId::kJson),
                         .filter = {}};
  if (auto ok = read_filter(*raw, options.filter); !ok) {
    return std::unexpected(usage_error(command.program, ok.error()));
  }
  return options;
}

std::expected<int, EarlyExit> start_observe(std::span<const char* const> arguments) {
  const auto options = parse_observe_options(arguments);
  if (!options) return std::unexpected(options.error());
  telemetry::set_log_program(kObserveCommand.program);
  Viewer viewer(*options);
  return names_a_run(options->what) ? observe_run(*options, viewer)
                                    : observe_file(*options, viewer);
}

}  // namespace sluice::app
