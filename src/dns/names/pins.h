// Which names the guest learnt an address by, and until when: what rules for names decide on. A pin
// is a name and an address that an answer to the guest's question for that name held.
//
// Bounded in names, in addresses of a name, in names of an address, and in bytes. The name that was
// not used for longest goes first, except for those that a flow holds; of one name or one address,
// the pin that ends first gives way. What is gone or finds no place is not pinned, so whoever asks
// for pins fails closed. What has ended stays until it gives way, to tell "no more" from "never".
//
// An address is kept as its keyed hash of 64 bits, so that a pin takes 14 bytes with its entry in
// the index: 10,000 names with 100 addresses each fit into 16 MiB. One in 10^13 addresses is taken
// for another one when that many are pinned, and without the key nobody can find out which.
//
// One thread; name_book.h is what workers share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/index_queue.h"
#include "base/index_table.h"
#include "base/siphash.h"
#include "base/slab.h"
#include "base/time.h"
#include "dns/names/pin_index.h"
#include "wire/address.h"
#include "wire/messages/domain_name.h"

namespace sluice::dns {

// A name that was pinned. It leads to nothing once the name is gone.
struct NameId : SlabHandle {};

struct Pinned {
  NameId name{};
  Instant expires{};  // The answer's time to live is over; in full steps of Pins::kStep.
};

struct PinLimits {
  std::size_t names_max = 10'000;   // At most PinIndex::kNameIndexMax.
  std::size_t addresses_max = 100;  // Of one name.
  std::size_t bytes_max = 16U << 20U;
};

class Pins {
 public:
  // More names of one address are not looked at when a flow begins.
  static constexpr std::size_t kNamesOfAddressMax = 64;
  static constexpr Duration kStep = std::chrono::seconds{10};
  // What ends later ends then.
  static constexpr Duration kLifeMax = std::chrono::hours{24};

  explicit Pins(const SipKey& key, const PinLimits& limits = {});

  // Pins the address to the name until `expires`, or for as long as it was pinned before if that is
  // longer. Nothing when there is no room but that of names which are held.
  std::optional<NameId> pin(const wire::DomainName& name, const wire::IpAddress& address,
                            Instant expires, Instant now);

  // The guest may know the address by this name, from before there were pins: as one that has
  // ended.
  void note(const wire::DomainName& name, const wire::IpAddress& address, Instant now);

  // The names of an address, ended ones too, into `out`; how many. They count as used.
  std::size_t names_of(const wire::IpAddress& address, std::span<Pinned> out);
  // Until when the address is the name's; nothing if it never was.
  [[nodiscard]] std::optional<Instant> expiry(NameId id, const wire::IpAddress& address) const;
  [[nodiscard]] std::optional<NameId> find(const wire::DomainName& name) const;
  // In lower case; nothing once it is gone.
  [[nodiscard]] std::optional<wire::DomainName> name(NameId id) const;

  // A name that is held stays, until it was released as often as it was held. One that is gone is
  // ignored.
  void hold(NameId id);
  void release(NameId id);

  [[nodiscard]] std::size_t names() const { return names_.size(); }
  [[nodiscard]] std::size_t pins() const { return index_.size(); }
  [[nodiscard]] std::size_t bytes_held() const;

 private:
  // Ten bytes a pin, so a hash is held in parts.
  using Halves = std::array<std::uint16_t, 4>;
  // Longer ago than anybody asks.
  static constexpr std::uint16_t kEnded = 0;
  struct Pin {
    Halves hash{};
    std::uint16_t expires = kEnded;  // In steps since base_.
  };
  static_assert(sizeof(Pin) == 10);

  struct Digest {
    std::uint64_t value = 0;
    struct NoSecret {};
    [[nodiscard]] std::uint64_t hash(NoSecret) const { return value; }
    friend bool operator==(const Digest&, const Digest&) = default;
  };
  struct Name {
    Digest digest{};
    std::unique_ptr<std::uint8_t[]> octets;  // In wire form and lower case.
    std::unique_ptr<Pin[]> pins;
    IndexLink link{};
    std::uint32_t holders = 0;
    std::uint16_t count = 0;
    std::uint16_t capacity = 0;
    std::uint8_t size = 0;

    [[nodiscard]] ByteView wire() const { return {octets.get(), size}; }
    [[nodiscard]] std::span<Pin> all() const { return {pins.get(), count}; }
  };
  using Table = IndexTable<Digest, Digest::NoSecret, 256>;

  [[nodiscard]] std::uint64_t hash_of(const wire::IpAddress& address) const;
  [[nodiscard]] static std::uint32_t tag_of(const Halves& hash);
  [[nodiscard]] static Pin* find_pin(const Name& name, const Halves& hash);
  [[nodiscard]] std::uint16_t steps(Instant at) const;
  [[nodiscard]] Instant instant(std::uint16_t steps) const {
    return steps == kEnded ? Instant::min() : base_ + kStep * steps;
  }
  void move_base(Instant now);

  [[nodiscard]] std::optional<std::uint32_t> intern(const wire::DomainName& name);
  [[nodiscard]] bool make_room(std::size_t bytes);
  [[nodiscard]] bool reserve(std::uint32_t index);
  [[nodiscard]] static std::size_t bytes_of_pins(std::size_t capacity);
  [[nodiscard]] std::optional<NameId> add(const wire::DomainName& name, const Pin& pin);
  [[nodiscard]] bool add(std::uint32_t index, const Pin& pin);
  void thin_out(const Halves& hash);
  void remove_pin(std::uint32_t index, Pin& pin);
  void remove_name(std::uint32_t index);
  void touch(std::uint32_t index);

  SipKey key_;
  PinLimits limits_;
  Instant base_{};
  Slab<Name> names_;
  IndexQueue by_use_;  // Those that nobody holds; the most recently used last.
  Table table_{{}};
  PinIndex index_;
  std::size_t owned_ = 0;  // Bytes that names own, the allocator's heads included.
};

}  // namespace sluice::dns
