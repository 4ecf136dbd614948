// A connection to the control socket of a run, of a program that controls it. Blocks, with a limit
// in time. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace sluice::control {

class Connection {
 public:
  // To a run of this user's. The error is a sentence. Whoever listens under the run's name and is
  // another user (but root) is not spoken to. Root finds those of other users, too.
  [[nodiscard]] static std::expected<Connection, std::string> open(std::string_view run);
  // ... of this user's, where we are him or root.
  [[nodiscard]] static std::expected<Connection, std::string> open_of(uid_t user,
                                                                      std::string_view run);

  // A line, with its newline. False: the other end is gone, or does not take it.
  [[nodiscard]] bool send(std::string_view line);
  // The next line without its newline; valid until the next call. Nothing: the end, or silence for
  // as long as set_patience() says.
  [[nodiscard]] std::expected<std::string_view, std::string> read_line();
  // Whether the next line has come already, and read_line() does not wait.
  [[nodiscard]] bool has_line() const { return input_.find('\n', taken_) != std::string::npos; }
  // Zero: without end, as for events.
  void set_patience(std::chrono::seconds patience);

  [[nodiscard]] int fd() const { return socket_.get(); }
  // Its name.
  [[nodiscard]] const std::string& run() const { return run_; }
  // Whether it is this user's own. What another one's says is nothing to act on.
  [[nodiscard]] bool is_own() const;

 private:
  Connection(UniqueFd socket, uid_t user, std::string_view run)
      : socket_(std::move(socket)), user_(user), run_(run) {}

  UniqueFd socket_;
  uid_t user_;
  std::string run_;
  std::string input_;
  std::size_t taken_ = 0;
};

}  // namespace sluice::control
