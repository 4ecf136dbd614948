#include "host/port_holder.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>

namespace sluice::host {
namespace {

namespace fs = std::filesystem;

// The state of a TCP socket that listens, and of one of UDP that has no peer.
constexpr std::string_view kListening = "0A";
constexpr std::string_view kUnconnected = "07";

template <class Number>
[[nodiscard]] bool read_number(std::string_view text, Number& value, int base) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  return error == std::errc{} && stop == end;
}

// "0100007F:1F90": words of an address as this machine has them in memory, and the port.
[[nodiscard]] std::optional<wire::Endpoint> endpoint_in(std::string_view text) {
  constexpr std::size_t kWord = 8;  // Digits.
  const std::size_t colon = text.find(':');
  if (colon != kWord && colon != 4 * kWord) return std::nullopt;
  std::uint16_t port = 0;
  if (!read_number(text.substr(colon + 1), port, 16)) return std::nullopt;
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i < colon / kWord; ++i) {
    if (!read_number(text.substr(i * kWord, kWord), words[i], 16)) return std::nullopt;
  }
  const auto octets = std::bit_cast<std::array<std::uint8_t, sizeof words>>(words);
  const wire::IpAddress address = colon == kWord
                                      ? wire::IpAddress::v4(FixedView<4>(octets.data(), 4))
                                      : wire::IpAddress::v6(octets);
  return wire::Endpoint{address, wire::Port{port}};
}

[[nodiscard]] bool is_taken_by(const wire::Endpoint& wanted, const wire::Endpoint& theirs) {
  return wanted.port == theirs.port &&
         (wanted.address == theirs.address || wanted.address.is_unspecified() ||
          theirs.address.is_unspecified());
}

// The socket's inode in one of the kernel's tables. Columns: number, local address, remote address,
// state, queues, timer, retransmits, user, timeout, inode.
[[nodiscard]] std::optional<std::uint64_t> inode_in(const char* table, const wire::Endpoint& wanted,
                                                    std::string_view state) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // What the columns are called.
  while (std::getline(file, line)) {
    std::istringstream columns(line);
    std::string number, local, remote, is, skipped;
    std::uint64_t inode = 0;
    columns >> number >> local >> remote >> is;
    for (int i = 0; i < 5; ++i) columns >> skipped;
    if (!(columns >> inode) || is != state) continue;
    const auto theirs = endpoint_in(local);
    if (theirs && is_taken_by(wanted, *theirs)) return inode;
  }
  return std::nullopt;
}

[[nodiscard]] bool has_socket(const fs::path& process, const std::string& socket) {
  std::error_code error;
  for (fs::directory_iterator fd(process / "fd", error), end; !error && fd != end;
       fd.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(fd->path(), gone) == socket) return true;
  }
  return false;
}

[[nodiscard]] std::optional<PortHolder> process_with(const std::string& socket) {
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    PortHolder holder;
    if (!read_number(process->path().filename().native(), holder.process, 10)) continue;
    if (!has_socket(process->path(), socket)) continue;
    std::ifstream comm(process->path() / "comm");
    std::getline(comm, holder.name);
    return holder;
  }
  return std::nullopt;
}

}  // namespace

std::optional<PortHolder> holder_of(const wire::Endpoint& endpoint, PortKind kind) {
  const bool tcp = kind == PortKind::kTcp;
  const std::string_view state = tcp ? kListening : kUnconnected;
  const auto ours = endpoint.address.is_v4()
                        ? inode_in(tcp ? "/proc/net/tcp" : "/proc/net/udp", endpoint, state)
                        : std::nullopt;
  // A socket of IPv6 may take IPv4 in.
  const auto inode =
      ours ? ours : inode_in(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", endpoint, state);
  return inode ? process_with(fmt::format("socket:[{}]", *inode)) : std::nullopt;
}

std::string holder_text(const wire::Endpoint& endpoint, PortKind kind) {
  const auto holder = holder_of(endpoint, kind);
  if (!holder) return "another program has this port";
  return fmt::format("'{}' (process {}) has this port", holder->name, holder->process);
}

}  // namespace sluice::host
