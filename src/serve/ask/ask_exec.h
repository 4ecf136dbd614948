// The program of --ask-exec, which answers questions: it gets each as a line of JSON, and answers
// by lines that are requests of the control socket. A child of ours in the host's namespaces,
// started before the guest is and before we are confined; it ends with us.
//
// It may be slow, answer nonsense, or die. What waits for it is bounded, and where it does not take
// that, or answers too much nonsense, it is gone as if it had died. Not thread-safe.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "control/request.h"
#include "sys/setup_error.h"
#include "sys/signal_fd.h"

namespace sluice::serve {

class AskExec {
 public:
  static constexpr std::size_t kUnsentMax = 256 * 1024;
  static constexpr unsigned kBadLinesMax = 16;

  // For a process with one thread. `command` is the shell's to read; `signals` are the program's.
  [[nodiscard]] static std::expected<AskExec, sys::SetupError> start(
      const std::string& command, const sys::SavedSignals& signals);
  AskExec() = default;  // There is none.
  // Of a program that speaks already.
  explicit AskExec(UniqueFd socket) : socket_(std::move(socket)) {}

  // Readable when there is something for next(); negative: there is none, or it is gone.
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] bool is_there() const { return socket_.valid(); }

  // A line with its newline.
  void tell(std::string_view line);
  // Sends what waits, as far as it goes.
  void flush();
  [[nodiscard]] bool has_unsent() const { return !unsent_.empty(); }
  // The next answer that has come; nothing, for now or for good.
  [[nodiscard]] std::optional<control::Request> next();

 private:
  void read();
  void give_up(std::string_view why);
  [[nodiscard]] std::optional<control::Request> read_line(std::string_view line);

  UniqueFd socket_;
  std::string unsent_;
  std::string input_;
  unsigned bad_lines_ = 0;
};

}  // namespace sluice::serve
