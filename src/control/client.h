// A client of the control socket, on our side: what it sends is cut into lines, and what it is
// answered waits for it. Both are bounded: who does not read is not read from, and holds no more
// than an answer. Once it has subscribed to the events it gets nothing else. Not thread-safe.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "control/request.h"
#include "sys/kernel.h"
#include "telemetry/events/event_queue.h"

namespace sluice::control {

class Client {
 public:
  // With so much unread it is asked for nothing more.
  static constexpr std::size_t kUnreadMax = 64 * 1024;
  // Events that wait for a subscriber; beyond them it loses some, and is told.
  static constexpr std::size_t kEventsMax = 1024 * 1024;
  // What does not go out for so long goes nowhere.
  static constexpr Duration kPatience = std::chrono::seconds(5);

  Client(sys::KernelFd socket, Instant now) : socket_(std::move(socket)), moved_(now) {}

  [[nodiscard]] int fd() const { return socket_.get(); }

  // Takes what has come, once. False: it is gone.
  [[nodiscard]] bool read(Instant now);
  // Sends what waits, as far as it goes. False: it is gone.
  [[nodiscard]] bool write(Instant now);

  // A whole line is there, and room for its answer.
  [[nodiscard]] bool has_line() const;
  // The next line without its newline; valid until read(). Only where has_line().
  [[nodiscard]] std::string_view take_line();
  // More has come than a line may have.
  [[nodiscard]] bool line_too_long() const;
  // Nothing more is taken of it; it goes once it has all that it was answered.
  void finish();

  // Answers go here.
  [[nodiscard]] fmt::memory_buffer& output() { return output_; }
  // From here on it gets the events, of which this is the queue.
  [[nodiscard]] telemetry::EventQueue& subscribe() { return events_.emplace(kEventsMax); }
  [[nodiscard]] telemetry::EventQueue* events() { return events_ ? &*events_ : nullptr; }

  [[nodiscard]] bool has_output() const;
  [[nodiscard]] bool wants_input() const;
  // It has been served, and wants no more.
  [[nodiscard]] bool is_done() const {
    return finished_ && !has_output() && !has_line() && !events_;
  }
  // When it has stood still for too long with an answer that it does not take; kNever: it does not.
  [[nodiscard]] Instant deadline() const;
  [[nodiscard]] Instant moved() const { return moved_; }

  std::uint32_t watched = 0;       // The events that it is watched for.
  bool answers_questions = false;  // Whoever reads its events answers questions.

 private:
  void clear_input();

  sys::KernelFd socket_;
  Instant moved_;  // When something went through last.
  std::string input_;
  std::size_t taken_ = 0;    // Of it: lines that were served.
  std::size_t scanned_ = 0;  // ... and how far there is no newline behind them.
  bool finished_ = false;
  fmt::memory_buffer output_;
  std::size_t sent_ = 0;  // Of it.
  std::optional<telemetry::EventQueue> events_;
};

}  // namespace sluice::control
