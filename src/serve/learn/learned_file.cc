#include "serve/learn/learned_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include "sandbox/sandbox.h"
#include "serve/learn/usage_text.h"
#include "sys/sys_error.h"

namespace sluice::serve {
namespace {

// Far above what kRowsMax of them take.
constexpr std::size_t kTextMax = 64U * 1024 * 1024;

[[nodiscard]] bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// Until the other end shuts down.
[[nodiscard]] std::string receive_all(int fd) {
  std::string text;
  std::array<char, 16 * 1024> piece{};
  while (text.size() < kTextMax) {
    const ssize_t got = ::recv(fd, piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  return text;
}

[[nodiscard]] std::string problem(const std::string& path, int error) {
  return fmt::format("cannot write '{}': {}", path, sys::errno_text(error));
}

// Nobody sees a part of it: the old file or the new one. Returns what went wrong.
[[nodiscard]] std::string replace_file(const std::string& path, std::string_view text) {
  std::string beside = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(beside.data(), O_CLOEXEC));
  if (!file.valid()) return problem(path, errno);
  int error = 0;
  while (!text.empty() && error == 0) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && ::fsync(file.get()) != 0) error = errno;
  if (error == 0 && ::rename(beside.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return {};
  ::unlink(beside.c_str());
  return problem(path, error);
}

[[noreturn]] void write_when_told(UniqueFd channel, const LearnPlan& plan) {
  channel = sandbox::stand_alone(std::move(channel), "sluice-learn",
                                 sandbox::seccomp_mode_from_environment());
  const std::string lines = receive_all(channel.get());
  std::string answer;
  if (lines.empty()) ::_exit(0);  // The run did not come so far.
  if (const auto usage = read_usage(lines)) {
    answer = replace_file(plan.file, plan.text(*usage));
  } else {
    answer = usage.error();
  }
  (void)send_all(channel.get(), answer);
  ::_exit(0);
}

}  // namespace

std::expected<LearnedFile, std::string> LearnedFile::begin(const LearnPlan& plan) {
  std::error_code error;
  LearnPlan own{.file = std::filesystem::absolute(plan.file, error).string(), .text = plan.text};
  if (error) return std::unexpected(fmt::format("--learn: {}", error.message()));
  const std::string folder = std::filesystem::path(own.file).parent_path().string();
  if (::access(folder.c_str(), W_OK) != 0) {
    return std::unexpected("--learn: " + problem(plan.file, errno));
  }
  auto writer = sandbox::HelperProcess::start(
      "fork", SOCK_STREAM, [&own](UniqueFd channel) { write_when_told(std::move(channel), own); });
  if (!writer) return std::unexpected("--learn: " + writer.error().describe());
  return LearnedFile(plan.file, std::move(*writer));
}

std::expected<void, std::string> LearnedFile::finish() {
  const int channel = writer_.channel();
  const bool sent = send_all(channel, usage_lines(*usage_)) && ::shutdown(channel, SHUT_WR) == 0;
  if (!sent) return std::unexpected("--learn: whoever was to write the file is gone");
  const std::string answer = receive_all(channel);
  if (!answer.empty()) return std::unexpected("--learn: " + answer);
  return {};
}

}  // namespace sluice::serve
