// The answer to a request: lines of JSON, of which the last one has "ok", and those before it have
// "more". docs/control_socket.md has their members.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "control/request.h"
#include "telemetry/json_line.h"

namespace sluice::control {

class Answer {
 public:
  // Behind what `out` holds.
  Answer(fmt::memory_buffer& out, std::uint64_t id) : out_(out), id_(id) {}

  // One of the things that were asked for. `fill` gets the line, to put its members there.
  template <typename Fill>
  void item(const Fill& fill) {
    line("more", true, fill);
  }
  // The last line.
  template <typename Fill>
  void done(const Fill& fill) {
    line("ok", true, fill);
  }
  void done() {
    done([](telemetry::JsonLine&) {});
  }
  // ... of a request that was not carried out. `error` is for programs, `message` a sentence.
  void fail(std::string_view error, std::string_view message) {
    line("ok", false, [&](telemetry::JsonLine& line) {
      line.text("error", error);
      line.text("message", message);
    });
  }

 private:
  template <typename Fill>
  void line(std::string_view key, bool value, const Fill& fill) {
    telemetry::JsonLine line(out_);
    line.number("v", kVersion);
    line.number("id", id_);
    line.flag(key, value);
    fill(line);
    line.end_line();
  }

  fmt::memory_buffer& out_;
  std::uint64_t id_;
};

}  // namespace sluice::control
