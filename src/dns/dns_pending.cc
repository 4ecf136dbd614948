#include "dns/dns_pending.h"

#include <algorithm>

namespace sluice::dns {
namespace {

constexpr std::uint32_t kIndexMask = 0xffff;

[[nodiscard]] bool same_key(const DnsPending& pending, const DnsKey& key) {
  return std::ranges::equal(pending.key.bytes(), key.bytes());
}

}  // namespace

DnsPendingTable::DnsPendingTable(const SipKey& key, std::size_t questions_max,
                                 std::size_t askers_max)
    : key_(key),
      questions_max_(std::min<std::size_t>(questions_max, kIndexMask)),
      askers_max_(askers_max) {}

DnsPending* DnsPendingTable::add(const DnsKey& key, std::vector<std::uint8_t> query,
                                 DnsAsker& asker) {
  if (pending_.size() >= questions_max_ || askers_ >= askers_max_) return nullptr;
  const SlabHandle handle = pending_.emplace(key, std::move(query));
  DnsPending& pending = pending_.at(handle.index);
  pending.slot = {handle.index};
  pending.hash = siphash(key_, key.bytes());
  pending.askers.push_back(std::move(asker));
  ++askers_;
  by_key_.emplace(pending.hash, handle.index);
  return &pending;
}

bool DnsPendingTable::join(DnsPending& pending, DnsAsker& asker) {
  if (askers_ >= askers_max_) return false;
  pending.askers.push_back(std::move(asker));
  ++askers_;
  return true;
}

void DnsPendingTable::remove(DnsPending& pending) {
  const std::uint32_t index = pending.slot.value & kIndexMask;
  deadlines_.erase({pending.deadline, pending.slot.value});
  const auto [first, last] = by_key_.equal_range(pending.hash);
  const auto at =
      std::find_if(first, last, [&](const auto& entry) { return entry.second == index; });
  by_key_.erase(at);
  askers_ -= pending.askers.size();
  pending_.erase(pending_.handle_of(index));
}

DnsPending* DnsPendingTable::find(DnsSlot slot) {
  const std::uint32_t index = slot.value & kIndexMask;
  if (index >= pending_.capacity()) return nullptr;
  DnsPending* pending = pending_.find(pending_.handle_of(index));
  return pending != nullptr && pending->slot == slot ? pending : nullptr;
}

bool DnsPendingTable::asks(const DnsKey& key, const DnsAsker& asker) {
  const auto [first, last] = by_key_.equal_range(siphash(key_, key.bytes()));
  return std::any_of(first, last, [&](const auto& entry) {
    const DnsPending& pending = pending_.at(entry.second);
    return same_key(pending, key) &&
           std::ranges::any_of(pending.askers, [&](const DnsAsker& other) {
             return other.client == asker.client && other.head == asker.head;
           });
  });
}

DnsPending* DnsPendingTable::find_shareable(const DnsKey& key, std::uint32_t epoch) {
  const auto [first, last] = by_key_.equal_range(siphash(key_, key.bytes()));
  const auto at = std::find_if(first, last, [&](const auto& entry) {
    const DnsPending& pending = pending_.at(entry.second);
    return pending.shareable && pending.epoch == epoch && same_key(pending, key);
  });
  return at == last ? nullptr : &pending_.at(at->second);
}

void DnsPendingTable::renew(DnsPending& pending, Instant deadline) {
  deadlines_.erase({pending.deadline, pending.slot.value});
  ++attempts_;
  pending.slot.value = (pending.slot.value & kIndexMask) | std::uint32_t{attempts_} << 16;
  pending.deadline = deadline;
  deadlines_.emplace(deadline, pending.slot.value);
}

DnsPending* DnsPendingTable::first_due(Instant now) {
  if (next_deadline() > now) return nullptr;
  return find({deadlines_.begin()->second});
}

}  // namespace sluice::dns
