#include "box/init/step.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique_fd.h"

namespace sluice::box {

std::unexpected<sys::SetupError> step_failed(std::string step, std::string hint) {
  return std::unexpected(sys::SetupError{std::move(step), errno, std::move(hint)});
}

void say_in_kernel_log(std::string_view text) {
  const UniqueFd log(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  if (!log.valid()) return;
  // <3>: an error, which the console shows however quiet the kernel is to be.
  const std::string line = "<3>sluice-box-init: " + std::string(text) + "\n";
  (void)!::write(log.get(), line.data(), line.size());  // There is nowhere else to say it.
}

std::string in_words(const sys::SetupError& error) {
  std::string text = error.step;
  const char* name = error.error == 0 ? nullptr : ::strerrordesc_np(error.error);
  if (name != nullptr) text.append(": ").append(name);
  if (!error.hint.empty()) text.append("; ").append(error.hint);
  return text;
}

std::uint64_t nanoseconds_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

Step write_setting(const std::string& path, std::string_view value) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.valid() && ::write(file.get(), value.data(), value.size()) >= 0) return {};
  return step_failed("set " + path + " to " + std::string(value));
}

std::string read_line(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return "";
  std::array<char, 4096> buffer{};
  const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
  std::string_view text(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text);
}

Step make_directories(const std::string& path) {
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return step_failed("make " + part);
    if (at == std::string::npos) return {};
  }
}

}  // namespace sluice::box
