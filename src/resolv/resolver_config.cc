#include "resolv/resolver_config.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "resolv/resolver_watch.h"

namespace sluice::resolv {
namespace {

constexpr std::uint16_t kDnsPort = 53;
// As the C library: MAXNS. More would only make a dead network fail more slowly.
constexpr std::size_t kResolversMax = 3;
constexpr std::size_t kOptionsMax = 32;
const wire::Endpoint kLocalResolver{wire::IpAddress::v4(0x7f00'0001), wire::Port{kDnsPort}};

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
    const std::string_view text = next_word(line);
    const std::size_t end = std::min(text.find('%'), text.size());
    const auto address = wire::parse_ip(text.substr(0, end));
    if (address && conf.resolvers.size() < kResolversMax) {
      const std::string_view interface = text.substr(std::min(end + 1, text.size()));
      conf.resolvers.push_back({.endpoint = {*address, wire::Port{kDnsPort}},
                                .interface = std::string(interface),
                                .scope_id = 0});
    }
  } else if (keyword == "search" || keyword == "domain") {
    conf.search.clear();
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      if (word != ".") conf.search.emplace_back(word);
    }
  } else if (keyword == "options") {
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      if (conf.options.size() < kOptionsMax) conf.options.emplace_back(word);
    }
  }
}

// As if_nametoindex(3), by a socket of a family that the sandbox lets us open. A number stands for
// itself, as with getaddrinfo(3). 0: there is none of this name.
[[nodiscard]] std::uint32_t interface_index(std::string_view name) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc{} && end == name.data() + name.size()) return number;
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name) return 0;
  std::memcpy(request.ifr_name, name.data(), name.size());
  for (const int family : {AF_INET6, AF_INET}) {
    const UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.valid()) continue;
    if (::ioctl(fd.get(), SIOCGIFINDEX, &request) != 0) return 0;
    return static_cast<std::uint32_t>(request.ifr_ifindex);
  }
  return 0;
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

std::vector<wire::Endpoint> ResolvConf::endpoints() const {
  std::vector<wire::Endpoint> all;
  for (const HostResolver& resolver : resolvers) all.push_back(resolver.endpoint);
  return all;
}

bool ResolvConf::use_vc() const { return std::ranges::find(options, "use-vc") != options.end(); }

void ResolverConfig::take(std::string text) {
  current_ = parse_resolv_conf(text);
  text_ = std::move(text);
  guess_ = current_.resolvers.empty();
  if (guess_) {
    current_.resolvers.push_back({.endpoint = kLocalResolver, .interface = {}, .scope_id = 0});
  }
  (void)find_interfaces();
}

const ResolvConf& ResolverConfig::load() {
  struct stat status{};
  if (::stat(path_.c_str(), &status) == 0) {
    modified_ = status.st_mtim;
    inode_ = status.st_ino;
  }
  take(read_resolv_conf(path_).value_or(""));
  return current_;
}

bool ResolverConfig::find_interfaces() {
  bool changed = false;
  for (HostResolver& resolver : current_.resolvers) {
    if (resolver.interface.empty()) continue;
    const std::uint32_t index = interface_index(resolver.interface);
    changed = changed || index != resolver.scope_id;
    resolver.scope_id = index;
  }
  return changed;
}

ResolverConfig ResolverConfig::of(const std::vector<wire::Endpoint>& resolvers) {
  ResolverConfig config("");
  for (const wire::Endpoint& resolver : resolvers) {
    config.current_.resolvers.push_back({.endpoint = resolver});
  }
  return config;
}

ResolverConfig ResolverConfig::fixed_to(const ResolvConf& conf) {
  ResolverConfig config("");
  config.current_ = conf;
  return config;
}

bool ResolverConfig::refresh(Instant now) {
  if (path_.empty() || now < checked_ + std::chrono::seconds(1)) return false;
  checked_ = now;
  if (watch_.valid()) {
    auto text = newest_resolv_conf(watch_.get());
    if (!text || *text == text_) return find_interfaces();
    take(std::move(*text));
    return true;
  }
  struct stat status{};
  if (::stat(path_.c_str(), &status) != 0) return find_interfaces();
  if (status.st_ino == inode_ && status.st_mtim.tv_sec == modified_.tv_sec &&
      status.st_mtim.tv_nsec == modified_.tv_nsec) {
    return find_interfaces();
  }
  (void)load();
  return true;
}

}  // namespace sluice::resolv
