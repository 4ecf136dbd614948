#include "box/image/tool_run.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique_fd.h"

extern char** environ;

namespace sluice::box {
namespace {

std::unexpected<sys::SetupError> failed(std::string step, int error, std::string hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), error, std::move(hint)});
}

struct Actions {
  Actions() { ::posix_spawn_file_actions_init(&actions); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions); }
  posix_spawn_file_actions_t actions{};
};

std::expected<pid_t, int> start(const ToolCommand& command, int output) {
  Actions actions;
  ::posix_spawn_file_actions_addopen(&actions.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions.actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions.actions, output, STDERR_FILENO);
  ::posix_spawn_file_actions_addchdir_np(&actions.actions, command.directory.c_str());
  std::vector<char*> words;
  // The call does not write to them.
  for (const std::string& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, words.front(), &actions.actions, nullptr, words.data(), environ);
  if (error != 0) return std::unexpected(error);
  return pid;
}

std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));  // npos + 1 is 0.
}

// Until its writers are gone.
std::string read_all(int fd, const ToolCommand& command) {
  std::string said;
  std::size_t told = 0;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return said;
    said.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = said.find('\n', told)) != std::string::npos; told = end + 1) {
      if (command.on_line) command.on_line(std::string_view(said).substr(told, end - told));
    }
  }
}

}  // namespace

std::expected<std::string, sys::SetupError> run_tool(const ToolCommand& command) {
  const std::string& name = command.words.front();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("pipe for " + name, errno);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const auto pid = start(command, writing.get());
  if (!pid) return failed("run " + name, pid.error());
  writing.reset();
  std::string said = read_all(reading.get(), command);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0) {
    if (errno != EINTR) return failed("wait for " + name, errno);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said;
  return failed(fmt::format("{} failed: {}", name, last_line(said)), 0);
}

}  // namespace sluice::box
