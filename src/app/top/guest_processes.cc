#include "app/top/guest_processes.h"

#include <dirent.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include "app/ctl/ctl_tables.h"

namespace sluice::app {
namespace {

struct Closer {
  void operator()(DIR* folder) const { (void)::closedir(folder); }
};

template <typename Number>
[[nodiscard]] std::optional<Number> number_in(std::string_view text, int base = 10) {
  Number number{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

// Entries of a folder of /proc that are numbers.
[[nodiscard]] std::vector<int> numbers_in(const std::string& path) {
  std::vector<int> numbers;
  const std::unique_ptr<DIR, Closer> folder(::opendir(path.c_str()));
  if (folder == nullptr) return numbers;
  while (const dirent* const entry = ::readdir(folder.get())) {
    if (const auto number = number_in<int>(static_cast<const char*>(entry->d_name))) {
      numbers.push_back(*number);
    }
  }
  return numbers;
}

[[nodiscard]] std::string link_text(const std::string& path) {
  std::array<char, 256> text{};
  const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

[[nodiscard]] std::string file_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

[[nodiscard]] std::string network_of(pid_t pid) {
  return link_text(fmt::format("/proc/{}/ns/net", pid));
}

// proc_pid_stat(5): the fourth field, behind a name that may hold anything.
[[nodiscard]] pid_t parent_of(pid_t pid) {
  const std::string stat = file_text(fmt::format("/proc/{}/stat", pid));
  const std::size_t close = stat.rfind(')');
  if (close == std::string::npos || close + 4 > stat.size()) return 0;
  const std::string_view rest = std::string_view(stat).substr(close + 4);
  return number_in<pid_t>(rest.substr(0, rest.find(' '))).value_or(0);
}

[[nodiscard]] bool descends_from(pid_t pid, pid_t ancestor) {
  constexpr int kDepthMax = 64;
  for (int depth = 0; depth < kDepthMax && pid > 1; ++depth) {
    if (pid == ancestor) return true;
    pid = parent_of(pid);
  }
  return false;
}

[[nodiscard]] std::optional<std::uint64_t> socket_inode(std::string_view text) {
  constexpr std::string_view kBefore = "socket:[";
  if (!text.starts_with(kBefore) || !text.ends_with(']')) return std::nullopt;
  text.remove_prefix(kBefore.size());
  text.remove_suffix(1);
  return number_in<std::uint64_t>(text);
}

// "00000000:1F90"
[[nodiscard]] std::uint16_t port_in(std::string_view endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos) return 0;
  constexpr int kHex = 16;
  return number_in<std::uint16_t>(endpoint.substr(colon + 1), kHex).value_or(0);
}

[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    words.push_back(line.substr(0, line.find(' ')));
    line.remove_prefix(words.back().size());
  }
}

[[nodiscard]] std::string name_of(pid_t pid) {
  std::string name = file_text(fmt::format("/proc/{}/comm", pid));
  if (name.ends_with('\n')) name.pop_back();
  return fmt::format("{}/{}", shown(name), pid);
}

}  // namespace

std::vector<SocketRow> read_socket_table(std::string_view text) {
  std::vector<SocketRow> rows;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::vector<std::string_view> words = words_of(line);
    constexpr std::size_t kInode = 9;
    if (words.size() <= kInode || !words[0].ends_with(':')) continue;
    const auto inode = number_in<std::uint64_t>(words[kInode]);
    if (!inode || *inode == 0) continue;
    rows.push_back({port_in(words[1]), port_in(words[2]), *inode});
  }
  return rows;
}

std::string GuestProcesses::find_namespace() const {
  // Of our own processes, which nobody but root may look into, it is empty.
  const std::string own = network_of(run_);
  for (const int pid : numbers_in("/proc")) {
    const std::string network = network_of(pid);
    if (!network.empty() && network != own && descends_from(pid, run_)) return network;
  }
  return {};
}

void GuestProcesses::name_processes(std::vector<TopFlow>& flows) {
  if (namespace_.empty()) namespace_ = find_namespace();
  if (namespace_.empty()) return;
  std::map<Socket, std::uint64_t> sockets;
  std::map<std::uint64_t, pid_t> owners;
  for (const int pid : numbers_in("/proc")) {
    if (network_of(pid) != namespace_) continue;
    if (sockets.empty()) {
      for (const char* const table : {"tcp", "tcp6", "udp", "udp6"}) {
        const std::string text = file_text(fmt::format("/proc/{}/net/{}", pid, table));
        for (const SocketRow& row : read_socket_table(text)) {
          sockets.emplace(Socket{std::string(table, 3), row.port}, row.inode);
        }
      }
    }
    const std::string folder = fmt::format("/proc/{}/fd", pid);
    for (const int fd : numbers_in(folder)) {
      if (const auto inode = socket_inode(link_text(fmt::format("{}/{}", folder, fd)))) {
        owners.emplace(*inode, pid);
      }
    }
  }
  for (TopFlow& flow : flows) {
    const auto socket = sockets.find(Socket{flow.proto, flow.guest_port});
    if (socket == sockets.end()) continue;
    const auto owner = owners.find(socket->second);
    if (owner != owners.end()) flow.process = name_of(owner->second);
  }
}

}  // namespace sluice::app
