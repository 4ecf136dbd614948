// The host's resolvers, as resolv.conf(5) names them, followed as the file changes.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "wire/address.h"

namespace sluice::host {

struct ResolvConf {
  std::vector<wire::Endpoint> resolvers;  // In the file's order, port 53.
  std::vector<std::string> search;        // The last "search" or "domain" line counts.
};

// Never fails: what is not understood is skipped, as the C library does.
[[nodiscard]] ResolvConf parse_resolv_conf(std::string_view text);

class ResolverConfig {
 public:
  // Does not read yet.
  explicit ResolverConfig(std::string path = "/etc/resolv.conf") : path_(std::move(path)) {}

  // Reads the file; an unreadable one has no resolvers.
  [[nodiscard]] const ResolvConf& load();
  // At most once a second: whether the file changed since, in which case it was read again.
  [[nodiscard]] bool refresh(Instant now);
  [[nodiscard]] const ResolvConf& current() const { return current_; }

 private:
  std::string path_;
  ResolvConf current_;
  timespec modified_{};
  ino_t inode_ = 0;
  Instant checked_{};
};

}  // namespace sluice::host
