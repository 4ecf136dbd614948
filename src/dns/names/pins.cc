#include "dns/names/pins.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "dns/names/folded_name.h"

namespace sluice::dns {
namespace {

// Of an allocation, by the allocator: its head and its rounding up.
constexpr std::size_t kHead = 16;
// A place in the slab, and in the table of names at its emptiest.
constexpr std::size_t kPlace = 64 + 16;
constexpr std::uint16_t kFirstPins = 4;

// A hash as a pin has it.
std::array<std::uint16_t, 4> halves_of(std::uint64_t hash) {
  return std::bit_cast<std::array<std::uint16_t, 4>>(hash);
}

}  // namespace

Pins::Pins(const SipKey& key, const PinLimits& limits)
    : key_(key),
      limits_{.names_max = std::min<std::size_t>(limits.names_max, PinIndex::kNameIndexMax),
              .addresses_max = std::min<std::size_t>(limits.addresses_max, 0xffff),
              .bytes_max = limits.bytes_max},
      index_(limits_.names_max * limits_.addresses_max) {}

std::optional<NameId> Pins::pin(const wire::DomainName& name, const wire::IpAddress& address,
                                Instant expires, Instant now) {
  move_base(now);
  return add(name, {halves_of(hash_of(address)), steps(std::min(expires, now + kLifeMax))});
}

void Pins::note(const wire::DomainName& name, const wire::IpAddress& address, Instant now) {
  move_base(now);
  (void)add(name, {halves_of(hash_of(address)), kEnded});
}

std::optional<NameId> Pins::add(const wire::DomainName& name, const Pin& pin) {
  const auto interned = intern(name);
  if (!interned) return std::nullopt;
  const NameId id{names_.handle_of(*interned)};
  // It is being used: whoever gives way, it does not.
  hold(id);
  const bool pinned = add(*interned, pin);
  release(id);
  return pinned ? std::optional(id) : std::nullopt;
}

bool Pins::add(std::uint32_t index, const Pin& pin) {
  Name& name = names_.at(index);
  if (Pin* known = find_pin(name, pin.hash)) {
    known->expires = std::max(known->expires, pin.expires);
    return true;
  }
  thin_out(pin.hash);
  if (!reserve(index) || !index_.insert(tag_of(pin.hash), index)) return false;
  name.pins[name.count++] = pin;
  return true;
}

std::size_t Pins::names_of(const wire::IpAddress& address, std::span<Pinned> out) {
  const Halves hash = halves_of(hash_of(address));
  std::size_t count = 0;
  index_.visit(tag_of(hash), [&](std::uint32_t index) {
    if (count == out.size()) return false;
    const Pin* pin = find_pin(names_.at(index), hash);
    const NameId id{names_.handle_of(index)};
    const auto found = out.first(count);
    // Two addresses of a name may have one tag, and then it comes twice.
    if (pin != nullptr && std::ranges::find(found, id, &Pinned::name) == found.end()) {
      out[count++] = {id, instant(pin->expires)};
    }
    return true;
  });
  for (const Pinned& found : out.first(count)) touch(found.name.index);
  return count;
}

std::optional<Instant> Pins::expiry(NameId id, const wire::IpAddress& address) const {
  const Name* name = names_.find(id);
  if (name == nullptr) return std::nullopt;
  const Pin* pin = find_pin(*name, halves_of(hash_of(address)));
  return pin == nullptr ? std::nullopt : std::optional(instant(pin->expires));
}

std::optional<NameId> Pins::find(const wire::DomainName& name) const {
  const FoldedName key(name);
  const std::uint32_t index =
      table_.find(Digest{siphash(key_, key.bytes())},
                  [this](std::uint32_t at) { return names_.at(at).digest; });
  if (index == Table::kNone || !std::ranges::equal(names_.at(index).wire(), key.bytes())) {
    return std::nullopt;
  }
  return NameId{names_.handle_of(index)};
}

std::optional<wire::DomainName> Pins::name(NameId id) const {
  const Name* found = names_.find(id);
  if (found == nullptr) return std::nullopt;
  const auto read = wire::read_name(found->wire(), 0);
  return read ? std::optional(read->name) : std::nullopt;
}

void Pins::hold(NameId id) {
  Name* name = names_.find(id);
  if (name == nullptr) return;
  if (name->holders++ == 0) {
    by_use_.remove(id.index, [this](std::uint32_t at) -> IndexLink& { return names_.at(at).link; });
  }
}

void Pins::release(NameId id) {
  Name* name = names_.find(id);
  if (name == nullptr || name->holders == 0 || --name->holders != 0) return;
  by_use_.push_back(id.index,
                    [this](std::uint32_t at) -> IndexLink& { return names_.at(at).link; });
}

std::size_t Pins::bytes_held() const { return owned_ + index_.bytes_held(); }

std::uint64_t Pins::hash_of(const wire::IpAddress& address) const {
  return siphash(key_, address.octets());
}

std::uint32_t Pins::tag_of(const Halves& hash) {
  return static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(hash) >>
                                    (64 - PinIndex::kTagBits));
}

Pins::Pin* Pins::find_pin(const Name& name, const Halves& hash) {
  const std::span<Pin> all = name.all();
  const auto found = std::ranges::find(all, hash, &Pin::hash);
  return found == all.end() ? nullptr : &*found;
}

// Rounded up: a pin never ends early.
std::uint16_t Pins::steps(Instant at) const {
  if (at <= base_) return kEnded + 1;
  const auto count = (at - base_ + kStep - Duration{1}) / kStep;
  return static_cast<std::uint16_t>(std::min<std::int64_t>(count, 0xffff));
}

// Steps have 16 bits, which is a week. What would end before the new base has ended.
void Pins::move_base(Instant now) {
  constexpr std::uint16_t kHalf = 0x8000;
  if (names_.size() == 0) {
    base_ = now;
    return;
  }
  while (now >= base_ + kStep * kHalf) {
    // After a long time without a question all have ended, however long it was.
    const auto behind = (now - base_) / kStep;
    const std::int64_t shift = std::max<std::int64_t>(kHalf, behind - kHalf);
    names_.for_each([&](SlabHandle, Name& name) {
      for (Pin& pin : name.all()) {
        pin.expires =
            static_cast<std::uint16_t>(std::max<std::int64_t>(pin.expires - shift, kEnded));
      }
    });
    base_ += kStep * shift;
  }
}

std::optional<std::uint32_t> Pins::intern(const wire::DomainName& name) {
  const FoldedName key(name);
  const Digest digest{siphash(key_, key.bytes())};
  const std::uint32_t known =
      table_.find(digest, [this](std::uint32_t at) { return names_.at(at).digest; });
  if (known != Table::kNone) {
    if (std::ranges::equal(names_.at(known).wire(), key.bytes())) return known;
    return std::nullopt;  // Once in 2^64: the older one stays.
  }
  const std::size_t bytes = kPlace + kHead + key.size();
  while (names_.size() >= limits_.names_max) {
    if (by_use_.front() == IndexQueue::kNone) return std::nullopt;
    remove_name(by_use_.front());
  }
  if (!make_room(bytes)) return std::nullopt;
  const std::uint32_t index = names_.emplace().index;
  Name& fresh = names_.at(index);
  fresh.digest = digest;
  fresh.octets = std::make_unique_for_overwrite<std::uint8_t[]>(key.size());
  fresh.size = static_cast<std::uint8_t>(key.size());
  std::ranges::copy(key.bytes(), fresh.octets.get());
  owned_ += bytes;
  table_.insert(digest, index);
  by_use_.push_back(index, [this](std::uint32_t at) -> IndexLink& { return names_.at(at).link; });
  return index;
}

// For so many bytes more.
bool Pins::make_room(std::size_t bytes) {
  while (bytes_held() + bytes > limits_.bytes_max) {
    if (by_use_.front() == IndexQueue::kNone) return false;
    remove_name(by_use_.front());
  }
  return true;
}

// Room for one pin more of the name, which is held: a larger array, or the place of the one that
// ends first.
bool Pins::reserve(std::uint32_t index) {
  Name& name = names_.at(index);
  if (name.count >= limits_.addresses_max) {
    if (name.count == 0) return false;
    remove_pin(index, *std::ranges::min_element(name.all(), {}, &Pin::expires));
  }
  if (name.count < name.capacity) return make_room(index_.growth());
  const std::size_t wanted = std::min<std::size_t>(
      std::max<std::size_t>(std::size_t{name.capacity} * 2, kFirstPins), limits_.addresses_max);
  const std::size_t more = bytes_of_pins(wanted) - bytes_of_pins(name.capacity);
  if (!make_room(more + index_.growth())) return false;
  auto larger = std::make_unique<Pin[]>(wanted);
  std::ranges::copy(name.all(), larger.get());
  name.pins = std::move(larger);
  name.capacity = static_cast<std::uint16_t>(wanted);
  owned_ += more;
  return true;
}

std::size_t Pins::bytes_of_pins(std::size_t capacity) {
  return capacity == 0 ? 0 : capacity * sizeof(Pin) + kHead;
}

// Before one more name gets the address.
void Pins::thin_out(const Halves& hash) {
  std::size_t count = 0;
  std::uint32_t first_to_end = Table::kNone;
  std::uint16_t ends = 0xffff;
  index_.visit(tag_of(hash), [&](std::uint32_t index) {
    const Pin* pin = find_pin(names_.at(index), hash);
    if (pin == nullptr) return true;
    ++count;
    if (first_to_end == Table::kNone || pin->expires < ends) {
      first_to_end = index;
      ends = pin->expires;
    }
    return true;
  });
  if (count < kNamesOfAddressMax) return;
  if (Pin* pin = find_pin(names_.at(first_to_end), hash)) remove_pin(first_to_end, *pin);
}

void Pins::remove_pin(std::uint32_t index, Pin& pin) {
  index_.erase(tag_of(pin.hash), index);
  Name& name = names_.at(index);
  pin = name.pins[--name.count];
}

void Pins::remove_name(std::uint32_t index) {
  const Name& name = names_.at(index);
  for (const Pin& pin : name.all()) index_.erase(tag_of(pin.hash), index);
  owned_ -= kPlace + kHead + name.size + bytes_of_pins(name.capacity);
  table_.erase(name.digest, index);
  by_use_.remove(index, [this](std::uint32_t at) -> IndexLink& { return names_.at(at).link; });
  names_.erase(names_.handle_of(index));
}

void Pins::touch(std::uint32_t index) {
  const Name& name = names_.at(index);
  if (name.holders != 0) return;
  const auto link = [this](std::uint32_t at) -> IndexLink& { return names_.at(at).link; };
  by_use_.remove(index, link);
  by_use_.push_back(index, link);
}

}  // namespace sluice::dns
