#include "netns/files/ssh_files.h"

#include <fcntl.h>
#include <glob.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>

#include "base/unique_fd.h"

namespace sluice::netns {
namespace {

constexpr std::size_t kFilesMax = 64;
constexpr std::size_t kSizeMax = 64 * 1024;

std::optional<std::string> read_small(const std::string& path, bool only_trusted) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  // As ssh asks: readconf.c, SSHCONF_CHECKPERM.
  if (only_trusted && (status.st_uid != 0 || (status.st_mode & 022) != 0)) return {};
  std::string text(kSizeMax, '\0');
  const ssize_t got = ::read(fd.get(), text.data(), text.size());
  if (got < 0 || static_cast<std::size_t>(got) == kSizeMax) return {};
  text.resize(static_cast<std::size_t>(got));
  return text;
}

std::vector<std::string> matches_of(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  return paths;
}

// The patterns of all Include lines, absolute.
std::vector<std::string> included_by(const std::string& text, const std::string& folder) {
  std::vector<std::string> patterns;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::ranges::replace(line, '=', ' ');
    std::erase(line, '"');
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || ::strcasecmp(word.c_str(), "include") != 0) continue;
    while (words >> word && word.front() != '#') {
      if (word.front() == '~') continue;
      patterns.push_back(word.front() == '/' ? word : folder + "/" + word);
    }
  }
  return patterns;
}

}  // namespace

std::vector<GuestFile> included_ssh_files(const std::string& config) {
  const std::string folder = config.substr(0, config.rfind('/'));
  std::vector<GuestFile> files;
  std::vector<std::string> to_read = included_by(read_small(config, false).value_or(""), folder);
  for (std::size_t next = 0; next < to_read.size() && files.size() < kFilesMax; ++next) {
    for (const std::string& path : matches_of(to_read[next])) {
      const bool known =
          std::ranges::any_of(files, [&](const GuestFile& file) { return file.path == path; });
      auto text = known ? std::nullopt : read_small(path, true);
      if (!text || files.size() >= kFilesMax) continue;
      const std::vector<std::string> more = included_by(*text, folder);
      to_read.insert(to_read.end(), more.begin(), more.end());
      files.push_back({path, std::move(*text)});
    }
  }
  return files;
}

}  // namespace sluice::netns
