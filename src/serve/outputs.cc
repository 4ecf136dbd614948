#include "serve/outputs.h"

#include <fmt/core.h>

#include <cerrno>
#include <utility>

#include "sys/random.h"
#include "sys/sys_error.h"
#include "telemetry/events/run_id.h"
#include "telemetry/log.h"
#include "telemetry/private_file.h"

namespace sluice::serve {
namespace {

[[nodiscard]] std::string cannot_write(const char* option, const std::string& path, int error) {
  const char* const hint = error == ENXIO ? "; nobody reads this pipe: start its reader first" : "";
  return fmt::format("{}: cannot write '{}': {}{}", option, path, sys::errno_text(error), hint);
}

}  // namespace

std::expected<Outputs, std::string> Outputs::open(OutputPlan plan) {
  const auto chance = sys::draw_random<std::uint64_t>();
  if (!chance) return std::unexpected(fmt::format("getrandom: {}", sys::errno_text(errno)));
  Outputs outputs(std::move(plan), telemetry::run_id_of(*chance));
  if (auto opened = outputs.open_files(); !opened) return std::unexpected(opened.error());
  if (!outputs.plan_.learn.file.empty()) {
    auto learned = LearnedFile::begin(outputs.plan_.learn);
    if (!learned) return std::unexpected(learned.error());
    outputs.learned_ = std::move(*learned);
  }
  if (outputs.plan_.trace != nullptr) {
    if (auto started = outputs.start_trace(); !started) return std::unexpected(started.error());
  }
  return outputs;
}

std::expected<void, std::string> Outputs::open_files() {
  if (!plan_.pcap.empty()) {
    auto pcap = link::PcapFile::open(plan_.pcap);
    if (!pcap) return std::unexpected(cannot_write("--pcap", plan_.pcap, pcap.error().error));
    pcap_ = std::move(*pcap);
  }
  if (!plan_.flow_log.empty()) {
    auto log = telemetry::FlowLog::open(plan_.flow_log);
    if (!log) {
      return std::unexpected(cannot_write("--flow-log", plan_.flow_log, log.error().error));
    }
    flow_log_ = std::move(*log);
  }
  if (!plan_.events.empty()) {
    auto file = telemetry::EventFile::open(plan_.events);
    if (!file) return std::unexpected(cannot_write("--events", plan_.events, file.error().error));
    events_.write_to(std::move(*file));
  }
  if (!plan_.report_file.empty()) {
    std::FILE* const file = telemetry::open_private_file(plan_.report_file);
    if (file == nullptr) {
      return std::unexpected(cannot_write("--report-file", plan_.report_file, errno));
    }
    report_.reset(file);
  }
  return {};
}

std::expected<void, std::string> Outputs::start_trace() {
  auto trace = telemetry::TraceSession::open(*plan_.trace, plan_.trace_file);
  if (!trace) {
    return std::unexpected(cannot_write("--trace", plan_.trace_file, trace.error().error));
  }
  if (const auto started = trace->start(); !started) {
    return std::unexpected(fmt::format("--trace: {}", started.error().describe()));
  }
  trace_ = std::move(*trace);
  return {};
}

void Outputs::finish_learning() {
  const std::size_t rows = learned_->usage().rows().size();
  if (const auto written = learned_->finish(); !written) {
    telemetry::log_error("{}", written.error());
    return;
  }
  fmt::print(stderr, "sluice: learnt {} rule{}: {}\n", rows, rows == 1 ? "" : "s",
             plan_.learn.file);
}

void Outputs::finish(const telemetry::Snapshot& snapshot) {
  const std::string text =
      telemetry::report_text(snapshot, plan_.report, telemetry::color_for(::fileno(report_.get())));
  if (!text.empty()) {
    std::fputs(text.c_str(), report_.get());
    if (std::fflush(report_.get()) != 0) {
      telemetry::log_error("--report: {}", sys::errno_text(errno));
    }
  }
  if (learned_) {
    finish_learning();
  } else if (const std::string refused =
                 snapshot.refused.text(plan_.audit ? "would be refused" : "refused");
             !refused.empty()) {
    fmt::print(stderr, "sluice: {}{}\n", plan_.audit ? "audit: " : "", refused);
  }
  const std::string limits = telemetry::limits_text(snapshot.limits);
  if (!limits.empty()) fmt::print(stderr, "sluice: {}\n", limits);
  if (!trace_) return;
  if (const auto written = trace_->finish(); !written) {
    telemetry::log_error("--trace: writing '{}' failed: {}", plan_.trace_file,
                         sys::errno_text(written.error().error));
  }
}

}  // namespace sluice::serve
