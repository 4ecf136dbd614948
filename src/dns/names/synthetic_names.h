// Addresses that stand for names: one a name and family, for as long as the guest lives. The guest
// is told such an address in the place of a real one, so what connects there is known by its one
// name before any byte of it, whatever it speaks; where the name leads is found out when it is let
// through.
//
// Never taken back, so that no address ever means another name than the one it was given for, and
// therefore bounded: in names, in their bytes, and in names that are only to be refused, which
// anybody can make up. What finds no place has no address.
//
// One thread; name_book.h is what workers share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/index_table.h"
#include "base/siphash.h"
#include "dns/names/pins.h"
#include "wire/address.h"
#include "wire/messages/domain_name.h"

namespace sluice::dns {

// What an address is given for.
enum class SyntheticUse : std::uint8_t {
  kReached,  // A name that may be reached, be it after a question.
  kRefused,  // One that may not: whoever goes there is told so.
};

struct SyntheticLimits {
  std::size_t names_max = 131'070;    // Of 198.18.0.0/15 all but the first and the last.
  std::size_t bytes_max = 8U << 20U;  // Of all these names.
  // Of names that were given their address to be refused.
  std::size_t refused_max = 32'768;
  std::size_t refused_bytes_max = 2U << 20U;
};

class SyntheticNames {
 public:
  explicit SyntheticNames(const SipKey& key, const SyntheticLimits& limits = {});

  // In 198.18.0.0/15 (RFC 2544: no network of anybody's) or in our own /64 of RFC 4193.
  [[nodiscard]] static bool is_synthetic(const wire::IpAddress& address);
  // Names of ours are told from pinned ones by their generation, which those never reach.
  [[nodiscard]] static bool is_synthetic(NameId id) { return id.generation == kGeneration; }
  [[nodiscard]] static wire::IpAddress address_of(NameId id, wire::IpFamily family);

  // The name's own id, which is new if it had none. Nothing where there is no room.
  [[nodiscard]] std::optional<NameId> give(const wire::DomainName& name, SyntheticUse use);
  // Whose address this is; nothing if it was never given.
  [[nodiscard]] std::optional<NameId> at(const wire::IpAddress& address) const;
  // In lower case.
  [[nodiscard]] std::optional<wire::DomainName> name(NameId id) const;

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  static constexpr std::uint32_t kGeneration = 0xffff'ffff;

  struct Digest {
    std::uint64_t value = 0;
    struct NoSecret {};
    [[nodiscard]] std::uint64_t hash(NoSecret) const { return value; }
    friend bool operator==(const Digest&, const Digest&) = default;
  };
  struct Entry {
    Digest digest{};
    std::uint32_t begin = 0;  // Of its name, in octets_.
    std::uint8_t size = 0;
  };
  using Table = IndexTable<Digest, Digest::NoSecret, 256>;

  [[nodiscard]] ByteView wire_of(const Entry& entry) const {
    return ByteView(octets_).subspan(entry.begin, entry.size);
  }

  SipKey key_;
  SyntheticLimits limits_;
  std::vector<Entry> entries_;
  std::vector<std::uint8_t> octets_;  // The names, one behind the other.
  Table table_{{}};
  std::size_t refused_ = 0;
  std::size_t refused_bytes_ = 0;
};

}  // namespace sluice::dns
