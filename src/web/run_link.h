// A connection to the control socket of a run that keeps nobody waiting: what is sent goes out as
// the run takes it, and what it says comes in lines. Bounded both ways: who wants no more for now
// is not read for. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace sluice::web {

class RunLink {
 public:
  // More that the run has not taken is an error.
  static constexpr std::size_t kOutputMax = 1024 * 1024;
  // A longer line is none of a run's.
  static constexpr std::size_t kLineMax = 256 * 1024;

  // To a run of this user's (control/run_address.h). The error is a sentence. Whoever listens under
  // the run's name and is another user, but root, is not spoken to.
  [[nodiscard]] static std::expected<RunLink, std::string> open(std::string_view run);

  [[nodiscard]] int fd() const { return socket_.get(); }
  // False: the run takes nothing, or is gone.
  [[nodiscard]] bool send(std::string_view line);
  // Sends what waits. False: it is gone.
  [[nodiscard]] bool write();
  // Takes what has come, once. False: it is gone, or speaks another language.
  [[nodiscard]] bool read();
  // The next line without its newline, valid until read(). False: there is none yet.
  [[nodiscard]] bool take_line(std::string_view& line);
  [[nodiscard]] bool has_output() const { return !output_.empty(); }

  std::uint32_t watched = 0;  // The events that it is watched for.

 private:
  explicit RunLink(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
  std::string output_;
  std::string input_;
  std::size_t taken_ = 0;    // Of it: lines that were handed out.
  std::size_t scanned_ = 0;  // ... and how far there is no newline behind them.
};

}  // namespace sluice::web
