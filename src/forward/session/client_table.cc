#include "forward/session/client_table.h"

#include <algorithm>
#include <array>

namespace sluice::forward {
namespace {

// FlowLimits counts a session for 65/64 s.
constexpr Duration kWindow = std::chrono::milliseconds{1'016};
// More than one, so that the table shrinks under a steady stream of new clients.
constexpr int kForgottenAtATime = 4;

[[nodiscard]] wire::IpAddress key_of(const wire::IpAddress& client) {
  if (client.is_v4() || client.is_link_local()) return client;
  std::array<std::uint8_t, 16> octets{};
  std::ranges::copy(client.octets().first<8>(), octets.begin());
  return wire::IpAddress::v6(octets);
}

[[nodiscard]] bool paid(const std::optional<policy::TokenBucket>& bucket, Instant now) {
  return !bucket || bucket->full(now);
}

}  // namespace

ClientEntry::ClientEntry(const wire::IpAddress& client, const LimitPlan& plan)
    : key(client),
      limits_({.max_flows = plan.connections, .new_flows_per_second = plan.new_per_second}) {
  if (plan.to_target_rate != 0) to_target.emplace(plan.to_target_rate);
  if (plan.to_client_rate != 0) to_client.emplace(plan.to_client_rate);
}

std::size_t ClientTable::Hash::operator()(const wire::IpAddress& address) const {
  return siphash(key, address.octets());
}

ClientTable::ClientTable(const LimitPlan& plan, const SipKey& key, std::size_t clients_max)
    : plan_(plan), clients_max_(clients_max), index_(0, Hash{key}) {}

ClientEntry* ClientTable::admit(const wire::IpAddress& client, Instant now) {
  const std::scoped_lock lock(mutex_);
  forget_some(now);
  ClientEntry* const entry = find_or_add(key_of(client), now);
  if (entry == nullptr) return nullptr;
  const bool was_idle = entry->limits_.active() == 0;
  if (entry->limits_.admit(now) != policy::Verdict::kAccepted) return nullptr;
  entry->last_admitted_ = now;
  if (was_idle) busy_.splice(busy_.end(), idle_, entry->self_);
  return entry;
}

void ClientTable::released(ClientEntry& entry) {
  const std::scoped_lock lock(mutex_);
  entry.limits_.released();
  if (entry.limits_.active() == 0) idle_.splice(idle_.end(), busy_, entry.self_);
}

// A new entry is idle until it is admitted, which it is at once: every bound is one at least.
ClientEntry* ClientTable::find_or_add(const wire::IpAddress& key, Instant now) {
  if (const auto found = index_.find(key); found != index_.end()) return found->second;
  if (index_.size() >= clients_max_) {
    // Rather forgive a debt than refuse someone new; but a client's last second is kept, or a
    // flood of addresses would lift everyone's bound on new sessions.
    if (idle_.empty() || now - idle_.front().last_admitted_ < kWindow) return nullptr;
    index_.erase(idle_.front().key);
    idle_.pop_front();
  }
  ClientEntry& entry = idle_.emplace_back(key, plan_);
  entry.self_ = std::prev(idle_.end());
  index_.emplace(key, &entry);
  return &entry;
}

void ClientTable::forget_some(Instant now) {
  for (int i = 0; i < kForgottenAtATime && !idle_.empty(); ++i) {
    const ClientEntry& oldest = idle_.front();
    if (now - oldest.last_admitted_ < kWindow) return;
    if (!paid(oldest.to_target, now) || !paid(oldest.to_client, now)) {
      idle_.splice(idle_.end(), idle_, idle_.begin());  // Do not let it stand before the others.
      continue;
    }
    index_.erase(oldest.key);
    idle_.pop_front();
  }
}

std::size_t ClientTable::size() const {
  const std::scoped_lock lock(mutex_);
  return index_.size();
}

}  // namespace sluice::forward
