#include "flow/ip/fragment_reassembly.h"

#include <algorithm>
#include <utility>

namespace sluice::flow {
namespace {

// RFC 791: 65,535 bytes with the header. RFC 8200, 4.5: 65,535 bytes of payload.
std::size_t longest_payload(const Fragment& fragment) {
  constexpr std::size_t kLongest = 65'535;
  constexpr std::size_t kHeaderV4 = 20;
  return fragment.source.is_v4() ? kLongest - kHeaderV4 : kLongest;
}

std::size_t end_of(const Fragment& fragment) { return fragment.offset + fragment.payload.size(); }

}  // namespace

Fragment fragment_of(const wire::IpPacketView& packet) {
  const wire::IpFragment fields = packet.fragment.value_or(wire::IpFragment{});
  return {.source = packet.source,
          .destination = packet.destination,
          .id = fields.identification,
          .protocol = packet.protocol,
          .hop_limit = packet.hop_limit,
          .traffic_class = packet.traffic_class,
          .offset = fields.offset,
          .more = fields.more,
          .payload = packet.payload};
}

FragmentReassembly::Result FragmentReassembly::add(const Fragment& fragment, Instant now) {
  expire(now);
  const std::size_t end = end_of(fragment);
  if (fragment.payload.empty() || fragment.offset % kUnit != 0 ||
      (fragment.more && fragment.payload.size() % kUnit != 0) || end > longest_payload(fragment)) {
    return {FragmentOutcome::kBadLength, std::nullopt};
  }
  // RFC 6946: a fragment that is the whole datagram has nothing to do with any other.
  if (fragment.offset == 0 && !fragment.more) {
    return {FragmentOutcome::kComplete,
            Datagram{fragment.source,
                     fragment.destination,
                     fragment.protocol,
                     fragment.hop_limit,
                     fragment.traffic_class,
                     {fragment.payload.begin(), fragment.payload.end()}}};
  }

  Pending* entry = find(fragment);
  if (entry == nullptr) {
    if (limits_.datagrams_max == 0) return {FragmentOutcome::kNoRoom, std::nullopt};
    entry = &create(fragment, now);
  }
  if (entry->poisoned) return {FragmentOutcome::kOverlap, std::nullopt};
  const Presence presence = this->presence(*entry, fragment);
  if (presence == Presence::kAll && end <= entry->end &&
      std::ranges::equal(fragment.payload,
                         ByteView(entry->bytes).subspan(fragment.offset, end - fragment.offset))) {
    return {FragmentOutcome::kDuplicate, std::nullopt};
  }
  if (presence != Presence::kNone || !consistent(*entry, fragment)) {
    poison(*entry);
    return {FragmentOutcome::kOverlap, std::nullopt};
  }
  if (!make_room(entry, end)) {
    erase(*entry);
    return {FragmentOutcome::kNoRoom, std::nullopt};
  }
  store(*entry, fragment);
  if (!entry->total || entry->units_here != (*entry->total + kUnit - 1) / kUnit) {
    return {FragmentOutcome::kStored, std::nullopt};
  }
  return finish(*entry);
}

std::size_t FragmentReassembly::expire(Instant now) {
  std::size_t unfinished = 0;
  for (std::size_t i = 0; i < pending_.size();) {
    if (pending_[i].deadline > now) {
      ++i;
      continue;
    }
    unfinished += pending_[i].poisoned ? 0 : 1;
    erase(pending_[i]);
  }
  return unfinished;
}

Instant FragmentReassembly::next_deadline() const {
  Instant earliest = kNever;
  for (const Pending& entry : pending_) earliest = std::min(earliest, entry.deadline);
  return earliest;
}

// RFC 791 tells datagrams apart by protocol as well; RFC 8200, 4.5 does not.
FragmentReassembly::Pending* FragmentReassembly::find(const Fragment& fragment) {
  const auto found = std::ranges::find_if(pending_, [&](const Pending& entry) {
    return entry.first.id == fragment.id && entry.first.source == fragment.source &&
           entry.first.destination == fragment.destination &&
           (!fragment.source.is_v4() || entry.first.protocol == fragment.protocol);
  });
  return found == pending_.end() ? nullptr : &*found;
}

FragmentReassembly::Pending& FragmentReassembly::create(const Fragment& fragment, Instant now) {
  if (pending_.size() >= limits_.datagrams_max) {
    ++evicted_;
    erase(pending_.front());
  }
  Pending& entry = pending_.emplace_back();
  entry.first = fragment;
  entry.first.payload = {};
  entry.deadline = now + (fragment.source.is_v4() ? kTimeoutV4 : kTimeoutV6);
  return entry;
}

// Gives `entry` room up to byte `end`, at the cost of older datagrams if need be. Moves `entry`.
bool FragmentReassembly::make_room(Pending*& entry, std::size_t end) {
  std::size_t capacity = entry->bytes.capacity();
  if (end > capacity) {
    // Doubling keeps the copying of a datagram that arrives in order linear.
    capacity = std::max(end, std::min<std::size_t>(2 * capacity, kUnitsMax * kUnit));
  }
  const std::size_t units = (capacity + kUnit - 1) / kUnit;
  const std::size_t words = std::max((units + 63) / 64, entry->here.capacity());
  const std::size_t wanted = capacity + words * sizeof(std::uint64_t);
  if (wanted > limits_.bytes_max) return false;

  auto at = static_cast<std::size_t>(entry - pending_.data());
  while (bytes_held_ - held_by(pending_[at]) + wanted > limits_.bytes_max) {
    // Something else is held, or the bound above would have refused already.
    std::size_t victim = 0;
    while (victim == at || held_by(pending_[victim]) == 0) ++victim;
    ++evicted_;
    erase(pending_[victim]);
    if (victim < at) --at;
  }
  entry = &pending_[at];
  bytes_held_ -= held_by(*entry);
  entry->bytes.reserve(capacity);
  entry->here.reserve(words);
  entry->here.resize(words, 0);
  bytes_held_ += held_by(*entry);
  return true;
}

// Whether all fragments so far can be of one datagram: nothing lies past its last byte.
bool FragmentReassembly::consistent(const Pending& entry, const Fragment& fragment) {
  if (fragment.more) return !entry.total || end_of(fragment) < *entry.total;
  return !entry.total && end_of(fragment) > entry.end;
}

FragmentReassembly::Presence FragmentReassembly::presence(const Pending& entry,
                                                          const Fragment& fragment) {
  const std::size_t first = fragment.offset / kUnit;
  const std::size_t last = (end_of(fragment) + kUnit - 1) / kUnit;
  std::size_t here = 0;
  for (std::size_t unit = first; unit < last && unit / 64 < entry.here.size(); ++unit) {
    here += (entry.here[unit / 64] >> (unit % 64)) & 1U;
  }
  if (here == 0) return Presence::kNone;
  return here == last - first ? Presence::kAll : Presence::kSome;
}

void FragmentReassembly::store(Pending& entry, const Fragment& fragment) {
  const std::size_t end = end_of(fragment);
  if (entry.bytes.size() < end) entry.bytes.resize(end);
  std::ranges::copy(fragment.payload,
                    entry.bytes.begin() + static_cast<std::ptrdiff_t>(fragment.offset));
  for (std::size_t unit = fragment.offset / kUnit; unit < (end + kUnit - 1) / kUnit; ++unit) {
    entry.here[unit / 64] |= std::uint64_t{1} << (unit % 64);
    ++entry.units_here;
  }
  entry.end = std::max(entry.end, end);
  if (!fragment.more) entry.total = end;
  if (fragment.offset == 0) {
    entry.first.protocol = fragment.protocol;
    entry.first.hop_limit = fragment.hop_limit;
    entry.first.traffic_class = fragment.traffic_class;
  }
}

FragmentReassembly::Result FragmentReassembly::finish(Pending& entry) {
  bytes_held_ -= held_by(entry);
  Datagram whole{entry.first.source,    entry.first.destination,   entry.first.protocol,
                 entry.first.hop_limit, entry.first.traffic_class, std::move(entry.bytes)};
  pending_.erase(pending_.begin() + (&entry - pending_.data()));
  return {FragmentOutcome::kComplete, std::move(whole)};
}

// RFC 5722: what is here and what is still to come is dropped. The entry stays, without its bytes,
// until its deadline to catch the latter.
void FragmentReassembly::poison(Pending& entry) {
  give_back(entry);
  entry.poisoned = true;
}

void FragmentReassembly::give_back(Pending& entry) {
  bytes_held_ -= held_by(entry);
  // Assigning {} would keep the capacity.
  entry.bytes = std::vector<std::uint8_t>();
  entry.here = std::vector<std::uint64_t>();
}

void FragmentReassembly::erase(Pending& entry) {
  give_back(entry);
  pending_.erase(pending_.begin() + (&entry - pending_.data()));
}

std::size_t FragmentReassembly::held_by(const Pending& entry) {
  return entry.bytes.capacity() + entry.here.capacity() * sizeof(std::uint64_t);
}

std::vector<std::uint8_t> frame_of(const Datagram& datagram, const wire::MacAddress& to,
                                   const wire::MacAddress& from) {
  const bool v4 = datagram.source.is_v4();
  const std::size_t header_size = v4 ? wire::Ipv4View::kHeaderSize : wire::Ipv6View::kHeaderSize;
  const std::size_t before = wire::kEthernetHeaderSize + header_size;
  std::vector<std::uint8_t> frame(before + datagram.bytes.size());
  const MutableBytes bytes(frame);
  const auto length = static_cast<std::uint16_t>(datagram.bytes.size());
  wire::emit_ethernet(bytes.first<wire::kEthernetHeaderSize>(), to, from,
                      v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  const MutableBytes header = bytes.subspan(wire::kEthernetHeaderSize);
  if (v4) {
    wire::Ipv4Repr{.source = datagram.source,
                   .destination = datagram.destination,
                   .protocol = datagram.protocol,
                   .ttl = datagram.hop_limit,
                   .payload_length = length,
                   .dont_fragment = false,
                   .tos = datagram.traffic_class}
        .emit(header.first<wire::Ipv4View::kHeaderSize>());
  } else {
    wire::Ipv6Repr{.source = datagram.source,
                   .destination = datagram.destination,
                   .next_header = datagram.protocol,
                   .hop_limit = datagram.hop_limit,
                   .payload_length = length,
                   .traffic_class = datagram.traffic_class}
        .emit(header.first<wire::Ipv6View::kHeaderSize>());
  }
  std::ranges::copy(datagram.bytes, frame.begin() + static_cast<std::ptrdiff_t>(before));
  return frame;
}

}  // namespace sluice::flow
