// Which name the guest asked for when it learnt an address: so that reports can say names. Bounded;
// the least recently used goes first. One thread.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/siphash.h"
#include "wire/address.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

class DnsNames {
 public:
  static constexpr std::size_t kEntriesMax = 4096;

  explicit DnsNames(const SipKey& key, std::size_t entries_max = kEntriesMax)
      : entries_max_(entries_max), index_(16, Hash{key}) {}

  // Every address of the answer section goes by the name as asked, wherever aliases (CNAME) led.
  // Of the names for one address the latest counts.
  void learn(const wire::DnsView& answer);
  void learn(const wire::IpAddress& address, std::string_view name);

  // Empty if the address is unknown. Valid until the next learn().
  [[nodiscard]] std::string_view lookup(const wire::IpAddress& address);

  // Calls `visit` with each address and its name, the most recently used last.
  template <typename Visit>
  void visit_all(const Visit& visit) const {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      visit(entry->address, std::string_view(entry->name));
    }
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    wire::IpAddress address;
    std::string name;
  };
  struct Hash {
    SipKey key;
    std::size_t operator()(const wire::IpAddress& address) const {
      return siphash(key, address.octets());
    }
  };
  using Position = std::list<Entry>::iterator;

  std::size_t entries_max_;
  std::list<Entry> entries_;  // The most recently used first.
  std::unordered_map<wire::IpAddress, Position, Hash> index_;
};

}  // namespace sluice::dns
