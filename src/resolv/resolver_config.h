// The host's resolvers, as resolv.conf(5) names them, followed as the file changes.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "wire/address.h"

namespace sluice::resolv {

struct HostResolver {
  wire::Endpoint endpoint{};   // Port 53.
  std::string interface{};     // "fe80::1%eth0": where a link-local address is meant.
  std::uint32_t scope_id = 0;  // Its index, as of the last load() or refresh(); 0: none.
  friend bool operator==(const HostResolver&, const HostResolver&) = default;
};

struct ResolvConf {
  std::vector<HostResolver> resolvers;  // In the file's order.
  std::vector<std::string> search;      // The last "search" or "domain" line counts.
  std::vector<std::string> options;     // As they stand there, of all "options" lines.

  [[nodiscard]] std::vector<wire::Endpoint> endpoints() const;
  // Its resolvers are to be asked over TCP only.
  [[nodiscard]] bool use_vc() const;
};

// Never fails: what is not understood is skipped, as the C library does.
[[nodiscard]] ResolvConf parse_resolv_conf(std::string_view text);

class ResolverConfig {
 public:
  // Does not read yet.
  explicit ResolverConfig(std::string path = "/etc/resolv.conf") : path_(std::move(path)) {}

  // These and no others, whatever the file says.
  [[nodiscard]] static ResolverConfig of(const std::vector<wire::Endpoint>& resolvers);
  [[nodiscard]] static ResolverConfig fixed_to(const ResolvConf& conf);

  // Reads the file. One that is missing, unreadable or names no resolver means the one on this
  // machine, 127.0.0.1, as it does to the C library.
  [[nodiscard]] const ResolvConf& load();
  // For a process that may open no file: from now on refresh() takes its text from a watcher
  // (resolver_watch.h).
  void follow(UniqueFd watch) { watch_ = std::move(watch); }
  // At most once a second: whether the file changed since, in which case it was read again, or an
  // interface it names.
  [[nodiscard]] bool refresh(Instant now);
  [[nodiscard]] const ResolvConf& current() const { return current_; }
  // Whether the file names no resolver, so that the current one is a guess.
  [[nodiscard]] bool is_guess() const { return guess_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void take(std::string text);
  // Whether an index is another than before.
  [[nodiscard]] bool find_interfaces();

  std::string path_;  // Empty: nothing is read.
  ResolvConf current_;
  bool guess_ = false;
  std::string text_;
  UniqueFd watch_;
  timespec modified_{};
  ino_t inode_ = 0;
  Instant checked_{};
};

}  // namespace sluice::resolv
