// A virtiofsd that serves one directory to one guest: a child of ours, confined to that directory
// before it executes its program, and by itself afterwards. It ends when the socket to it is
// closed, and when we end, in whatever way we do. Started while this process has one thread.
#pragma once

#include <expected>
#include <string>

#include "base/unique_fd.h"
#include "box/fs/file_tree.h"
#include "box/fs/vhost_front_end.h"
#include "box/fs/virtiofsd_program.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"

namespace sluice::box {

struct FileServerPlan {
  SharedTree tree = {};
  std::string tag = "root";  // By which the guest mounts it; up to 36 bytes.
  VirtiofsdProgram program = {};
};

class FileServer {
 public:
  [[nodiscard]] static std::expected<FileServer, sys::SetupError> start(sys::Kernel& kernel,
                                                                        const FileServerPlan& plan);
  FileServer(FileServer&&) noexcept = default;
  FileServer& operator=(FileServer&&) = delete;
  // Hangs up, and waits for its end, for a while.
  ~FileServer();

  [[nodiscard]] const FileServerPlan& plan() const { return plan_; }
  [[nodiscard]] VhostFrontEnd& front_end() { return front_end_; }
  // Readable when it has ended.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  // What it prints; non-blocking. It must be read, or it waits for that: read_log().
  [[nodiscard]] int log_fd() const { return log_.get(); }
  // False: it will print nothing any more.
  bool read_log();
  // The last line that it printed; empty where it said nothing.
  [[nodiscard]] const std::string& last_words() const { return words_; }

  // Ends the connection, and so the process. It touches the guest's memory no more once it ended.
  void hang_up();

 private:
  FileServer(FileServerPlan plan, VhostFrontEnd front_end, UniqueFd pidfd, UniqueFd log)
      : plan_(std::move(plan)),
        front_end_(std::move(front_end)),
        pidfd_(std::move(pidfd)),
        log_(std::move(log)) {}

  FileServerPlan plan_;
  VhostFrontEnd front_end_;
  UniqueFd pidfd_;
  UniqueFd log_;
  std::string words_;
};

}  // namespace sluice::box
