// What a box is made of, as its guest (box_guest.h) sees it: the machine, its devices, the thread
// of these, the servers of its files, and the session with its first process. Used by one thread.
//
// The end: the network device lets go of whoever waits for a worker; the machine's processors stop,
// which may still wait for the device thread; that thread ends; the servers of files are hung up.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "link/link.h"
#include "serve/box/box_plan.h"
#include "serve/guest.h"
#include "sys/setup_error.h"

namespace sluice::serve {

// A step of the start, and when it was reached, since our own.
struct BoxStage {
  std::string name;
  double seconds = 0;
};

class BoxParts {
 public:
  BoxParts() = default;
  BoxParts(const BoxParts&) = delete;
  BoxParts& operator=(const BoxParts&) = delete;
  virtual ~BoxParts() = default;  // As stop().

  // One for each worker; once.
  [[nodiscard]] virtual std::vector<std::unique_ptr<link::Link>> links() = 0;
  // The threads, each confined before it has anything to do with the machine.
  [[nodiscard]] virtual std::expected<void, sys::SetupError> start() = 0;
  // Again, or before start(): nothing.
  virtual void stop() = 0;

  // Readable when one of the next has news.
  [[nodiscard]] virtual int news_fd() const = 0;
  // Before they are asked.
  virtual void clear_news() = 0;
  [[nodiscard]] virtual std::vector<BoxStage> take_stages() = 0;
  // What the machine could not have, and can do without.
  [[nodiscard]] virtual std::vector<sys::SetupError> take_warnings() = 0;
  // The command has stopped, as by Ctrl-Z, and waits for SIGCONT; told once.
  [[nodiscard]] virtual bool take_stop() = 0;
  // The command has.
  [[nodiscard]] virtual bool has_started() const = 0;
  // What the shell is told, once the command has ended and its output is delivered, or it could not
  // be started.
  [[nodiscard]] virtual std::optional<int> status() const = 0;
  [[nodiscard]] virtual std::optional<sys::SetupError> failure() const = 0;

  // Readable once the machine has ended; why that was, and what its kernel has printed last.
  [[nodiscard]] virtual int ended_fd() const = 0;
  [[nodiscard]] virtual std::string why_ended() const = 0;
  [[nodiscard]] virtual std::string console() const = 0;
  // Each readable once that server of files has ended; which one it was.
  [[nodiscard]] virtual std::vector<int> file_servers() const = 0;
  [[nodiscard]] virtual sys::SetupError file_failure() const = 0;

  // To the command.
  virtual void signal(int number) = 0;
  virtual void window_changed() = 0;
  // Our terminal is as it was, and the command's again: at its end, and around a stop of our
  // process.
  virtual void suspend() = 0;
  virtual void resume() = 0;
};

using MakeBoxParts = std::function<std::expected<std::unique_ptr<BoxParts>, sys::SetupError>(
    const BoxPlan&, const GuestSetting&)>;

// For a process with one thread: all that is not a thread is there when it returns. Where a box
// cannot be had the error says what is missing, and how to mend it.
[[nodiscard]] std::expected<std::unique_ptr<BoxParts>, sys::SetupError> make_box_parts(
    const BoxPlan& plan, const GuestSetting& setting);

}  // namespace sluice::serve
