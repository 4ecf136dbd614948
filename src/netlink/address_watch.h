// All addresses of the host, kept current: an rtnetlink socket that is told of each address that
// comes and goes, temporary IPv6 ones too. The same socket hears what router advertisements say
// about the network's NAT64 (RFC 8781), which the kernel passes on.
//
// Opened before the sandbox, in the host's network namespace, to which it then belongs. What it
// lost, because too much came at once, it asks for again. Owns its descriptor. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "sys/sys_error.h"
#include "wire/address.h"

struct nlmsghdr;

namespace sluice::netlink {

class AddressWatch {
 public:
  // Returns when it knows all addresses.
  [[nodiscard]] static std::expected<AddressWatch, sys::SysError> open();

  // Readable when there is news. Non-blocking.
  [[nodiscard]] int fd() const { return fd_.get(); }

  struct News {
    bool addresses_changed = false;
    std::vector<wire::Prefix> nat64;
  };
  // Takes in what waits, up to a bound.
  [[nodiscard]] std::expected<News, sys::SysError> read();

  // Each once, sorted.
  [[nodiscard]] std::vector<wire::IpAddress> addresses() const;

 private:
  // One address may be on several interfaces.
  using Entry = std::pair<wire::IpAddress, std::uint32_t>;

  explicit AddressWatch(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] std::expected<void, sys::SysError> ask_for_all();
  void on_message(const nlmsghdr& message, News& news);
  void on_address(const nlmsghdr& message, News& news);
  static void on_router_option(const nlmsghdr& message, News& news);
  void on_done(News& news);

  UniqueFd fd_;
  std::set<Entry> known_;
  std::optional<std::set<Entry>> asked_;  // While all are being told: those so far.
  bool was_disturbed_ = false;            // The list changed while it was told: ask again.
  std::uint32_t sequence_ = 0;
};

}  // namespace sluice::netlink
