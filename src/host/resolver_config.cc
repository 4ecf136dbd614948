#include "host/resolver_config.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/unique_fd.h"

namespace sluice::host {
namespace {

constexpr std::uint16_t kDnsPort = 53;
// As the C library: MAXNS. More would only make a dead network fail more slowly.
constexpr std::size_t kResolversMax = 3;
constexpr std::size_t kFileMax = 64 * 1024;

[[nodiscard]] std::string_view next_word(std::string_view& line) {
  const std::size_t start = line.find_first_not_of(" \t\r");
  if (start == std::string_view::npos) {
    line = {};
    return {};
  }
  const std::size_t end = std::min(line.find_first_of(" \t\r", start), line.size());
  const std::string_view word = line.substr(start, end - start);
  line.remove_prefix(end);
  return word;
}

void parse_line(std::string_view line, ResolvConf& conf) {
  const std::string_view keyword = next_word(line);
  if (keyword == "nameserver") {
    std::string_view text = next_word(line);
    text = text.substr(0, text.find('%'));  // An interface: only of use for link-local resolvers.
    const auto address = wire::parse_ip(text);
    if (address && conf.resolvers.size() < kResolversMax) {
      conf.resolvers.push_back({*address, wire::Port{kDnsPort}});
    }
  } else if (keyword == "search" || keyword == "domain") {
    conf.search.clear();
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      if (word != ".") conf.search.emplace_back(word);
    }
  }
}

[[nodiscard]] std::string read_file(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() < kFileMax) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.front() != '#' && line.front() != ';') parse_line(line, conf);
  }
  return conf;
}

const ResolvConf& ResolverConfig::load() {
  current_ = {};
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (fd.valid() && ::fstat(fd.get(), &status) == 0) {
    modified_ = status.st_mtim;
    inode_ = status.st_ino;
    current_ = parse_resolv_conf(read_file(fd.get()));
  }
  return current_;
}

bool ResolverConfig::refresh(Instant now) {
  if (now < checked_ + std::chrono::seconds(1)) return false;
  checked_ = now;
  struct stat status{};
  if (::stat(path_.c_str(), &status) != 0) return false;
  if (status.st_ino == inode_ && status.st_mtim.tv_sec == modified_.tv_sec &&
      status.st_mtim.tv_nsec == modified_.tv_nsec) {
    return false;
  }
  (void)load();
  return true;
}

}  // namespace sluice::host
