#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>
#include <system_error>

#include "config/forward_config.h"

namespace sluice::config {
namespace {

constexpr std::size_t kFileSizeMax = 16 * 1024 * 1024;

std::unexpected<ConfigErrors> whole_file(const std::string& path, std::string text) {
  return std::unexpected(ConfigErrors{{{path, 0}, std::move(text)}});
}

}  // namespace

std::expected<LoadedPlan, ConfigErrors> load_forward_config(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 65'536> part{};
  while (file && text.size() <= kFileSizeMax) {
    file.read(part.data(), part.size());
    text.append(part.data(), static_cast<std::size_t>(file.gcount()));
  }
  // The end of the file sets the fail bit, an error of the system the bad one (a directory).
  if (!file.is_open() || file.bad()) {
    const int error = errno != 0 ? errno : EIO;
    return whole_file(path, fmt::format("cannot be read: {}; expected a configuration file",
                                        std::generic_category().message(error)));
  }
  if (text.size() > kFileSizeMax) {
    return whole_file(path, "is larger than 16 MiB; expected a configuration file");
  }
  // Editors of another system begin a file with a byte order mark.
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return path.ends_with(".toml") ? parse_forward_toml(text, path) : parse_rinetd_conf(text, path);
}

}  // namespace sluice::config
