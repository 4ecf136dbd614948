// Detaching from the terminal, and the pid file.
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "sys/sys_error.h"

namespace sluice::service {

// The child's end of a detachment. The parent stays until it is told how the start went.
class Detachment {
 public:
  // Forks; call it before threads. Returns in the child only: the parent waits, and exits with 0
  // once detached() was called, else with the child's status.
  [[nodiscard]] static std::expected<Detachment, sys::SysError> begin();

  // All is up: standard streams become /dev/null, and the parent leaves.
  void detached();

 private:
  explicit Detachment(UniqueFd parent) : parent_(std::move(parent)) {}
  UniqueFd parent_;
};

// A file with the pid of who wrote it and a newline. Removed when this goes, unless another pid is
// in it by then.
class PidFile {
 public:
  [[nodiscard]] static std::expected<PidFile, sys::SysError> write(const std::string& path);
  PidFile(PidFile&& other) noexcept
      : path_(std::exchange(other.path_, {})), writer_(other.writer_) {}
  PidFile& operator=(PidFile&& other) noexcept;
  ~PidFile() { remove(); }

  [[nodiscard]] const std::string& path() const { return path_; }
  // So that a process that takes over may write it as that user.
  void give_to(uid_t uid, gid_t gid) const;
  // Somebody else, such as a copy of this process, removes it.
  void forget() { path_.clear(); }

 private:
  PidFile(std::string path, pid_t writer) : path_(std::move(path)), writer_(writer) {}
  void remove();

  std::string path_;
  pid_t writer_;
};

}  // namespace sluice::service
