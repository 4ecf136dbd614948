// An open file that takes lines: the flow log's, and the session log's. Lines go in whole; what the
// file does not take is lost and counted, and after an error it is tried again with the next lines.
// The first loss is told, and that lines are written again.
//
// A file that may keep a writer waiting (a pipe, a terminal) is written by pieces that it takes at
// once, without O_NONBLOCK: standard output may be shared with others. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "sys/sys_error.h"

namespace sluice::telemetry {

// What the lines are about, and to whom they are shown. Its texts live as long as the process.
struct LineFileKind {
  std::string_view option;   // Begins each message, as "--flow-log: "; or nothing.
  std::string_view content;  // "flows": "cannot write flows to 'FILE': …".
  mode_t mode = 0640;        // Of a file that is made.
};

class LineFile {
 public:
  // Appends. A FIFO needs a reader (ENXIO): it is not waited for.
  [[nodiscard]] static std::expected<LineFile, sys::SysError> open(const std::string& path,
                                                                   const LineFileKind& kind);
  // The same file as the process's standard output.
  [[nodiscard]] static std::expected<LineFile, sys::SysError> standard_output(
      const LineFileKind& kind);
  // `name` is for messages.
  LineFile(UniqueFd fd, std::string name, const LineFileKind& kind);

  // All of it is taken or lost. A slow reader is waited for a little, once until it reads again.
  void write(std::string_view lines);
  // Nobody is waited for: how many bytes from the front were taken, or lost by an error. The rest
  // is to be offered again, before anything else.
  [[nodiscard]] std::size_t offer(std::string_view lines);
  // The caller has no room to keep so many lines until a reader takes what was offered before.
  void lose(std::uint64_t lines);

  // A regular file of root's becomes this user's, who can open it anew at a reload.
  void give_to(uid_t uid, gid_t gid) const;
  // Lines that were lost so far.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  enum class Told : std::uint8_t { kNothing, kLoss, kRecovery };

  // The bytes that were taken; fewer than there are when the file takes no more: last_error_.
  [[nodiscard]] std::size_t take(std::string_view lines, int patience_ms);
  [[nodiscard]] std::size_t write_some(std::string_view bytes, int patience_ms);
  [[nodiscard]] bool ready_to_take(int patience_ms) const;
  [[gnu::cold]] void lose_rest(std::string_view lines);
  [[gnu::cold]] void tell_loss(int error);
  [[gnu::cold]] void tell_recovery();

  UniqueFd fd_;
  std::string name_;
  LineFileKind kind_;
  bool regular_;          // A write to a regular file does not wait for a reader.
  bool stalled_ = false;  // The last write lost lines; do not wait for the reader again.
  bool inside_ = false;   // The file ends in the middle of a line.
  bool torn_ = false;     // ... whose rest was lost.
  Told told_ = Told::kNothing;
  int last_error_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace sluice::telemetry
