#include "forward/target/target_set.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

#include "base/unreachable.h"

namespace sluice::forward {
namespace {

constexpr unsigned kTriedBits = 64;

[[nodiscard]] std::uint64_t tried_bit(std::uint32_t target) {
  return std::uint64_t{1} << (target % kTriedBits);
}

// Whether one of so many addresses was not tried.
[[nodiscard]] bool any_left(const Attempt& attempt, std::size_t count) {
  return static_cast<std::size_t>(std::popcount(attempt.addresses_tried)) <
         std::min<std::size_t>(count, kTriedBits);
}

}  // namespace

TargetSet::TargetSet(const Rule& rule) : states_(rule.targets.size()), balancer_(rule) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    states_[i].backup = rule.targets[i].weight == 0;
    describe(rule.targets[i].place, states_[i]);
  }
}

void TargetSet::describe(const Place& place, State& state) {
  state.port = place.port;
  state.port_range = place.port_count > 1;
  if (place.is_unix()) {
    state.kind = Kind::kPath;
    state.path = place.path;
  } else if (place.host.empty() || place.host == "*") {
    state.kind = Kind::kLoopback;
    constexpr std::array<std::uint8_t, 16> kLoopbackV6{0, 0, 0, 0, 0, 0, 0, 0,
                                                       0, 0, 0, 0, 0, 0, 0, 1};
    state.addresses = {{.ip = wire::IpAddress::v4(0x7f00'0001)},
                       {.ip = wire::IpAddress::v6(kLoopbackV6)}};
  } else if (const auto literal = place.literal()) {
    state.kind = Kind::kLiteral;
    state.literal = *literal;
    state.scope_id = place.scope_id;
  } else {
    state.kind = Kind::kName;
  }
  state.has_address.store(state.kind != Kind::kName, std::memory_order_relaxed);
}

std::optional<Destination> TargetSet::first(Attempt& attempt, Instant now) {
  attempt.tried = 0;
  return pick(attempt, now);
}

std::optional<Destination> TargetSet::next(Attempt& attempt, Instant now) {
  set_back(attempt.target, attempt.address, now);
  if (auto other = beside(attempt, now)) return other;  // Still the same target's session.
  return next_target(attempt, now);
}

std::optional<Destination> TargetSet::next_target(Attempt& attempt, Instant now) {
  State& state = states_[attempt.target];
  state.active.fetch_sub(1, std::memory_order_relaxed);
  avoid(state, now + kAvoidFor);
  return pick(attempt, now);
}

void TargetSet::ended(std::uint32_t target) {
  states_[target].active.fetch_sub(1, std::memory_order_relaxed);
}

std::optional<Destination> TargetSet::pick(Attempt& attempt, Instant now) {
  if (states_.size() == 1) {
    if (attempt.tried != 0) return std::nullopt;
    states_[0].active.fetch_add(1, std::memory_order_relaxed);
    return begin(0, attempt, now);
  }
  while (true) {
    std::uint32_t target = 0;
    {
      const std::scoped_lock lock(mutex_);
      candidates(attempt, now, candidates_);
      if (candidates_.empty()) return std::nullopt;
      target = balancer_.choose(candidates_, attempt.client);
      // Under the lock, so that two workers never take the same target for the least loaded.
      states_[target].active.fetch_add(1, std::memory_order_relaxed);
    }
    if (const auto destination = begin(target, attempt, now)) return destination;
    // Its addresses went away in between.
  }
}

void TargetSet::candidates(const Attempt& attempt, Instant now, std::vector<Candidate>& out) const {
  out.clear();
  unsigned best_tier = 8;
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    if ((attempt.tried & tried_bit(i)) != 0) continue;
    if (!state.has_address.load(std::memory_order_relaxed)) continue;
    const bool up = state.up.load(std::memory_order_relaxed);
    const bool failed =
        state.avoid_until_ns.load(std::memory_order_relaxed) > now.time_since_epoch().count();
    const unsigned tier = (up ? 0U : 4U) + (failed ? 2U : 0U) + (state.backup ? 1U : 0U);
    if (tier > best_tier) continue;
    if (tier < best_tier) out.clear();
    best_tier = tier;
    out.push_back({.target = i, .active = state.active.load(std::memory_order_relaxed)});
  }
}

std::optional<Destination> TargetSet::begin(std::uint32_t target, Attempt& attempt, Instant now) {
  State& state = states_[target];
  attempt.tried |= tried_bit(target);
  attempt.target = target;
  attempt.address = 0;
  attempt.addresses_tried = 1;
  wire::IpAddress address = state.literal;
  bool others = false;
  if (state.kind == Kind::kLoopback || state.kind == Kind::kName) {
    const std::scoped_lock lock(state.mutex);
    if (state.addresses.empty()) {
      state.active.fetch_sub(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    attempt.address = starting_address(state, now);
    attempt.addresses_tried = tried_bit(attempt.address);
    address = state.addresses[attempt.address].ip;
    others = any_left(attempt, state.addresses.size());
  }
  Destination destination = at(state, attempt, address);
  destination.others = others;
  return destination;
}

// Addresses of the first one's family, which the resolver put first because we reach it best,
// take turns.
std::uint32_t TargetSet::starting_address(State& state, Instant now) {
  const auto& all = state.addresses;
  const wire::IpFamily preferred = all.front().ip.family();
  const auto usable = [&](const Address& address) { return address.avoid_until <= now; };
  const auto takes_turns = [&](const Address& address) {
    return usable(address) && address.ip.family() == preferred;
  };
  const auto position = [&](auto found) {
    return static_cast<std::uint32_t>(std::distance(all.begin(), found));
  };
  const auto count = static_cast<std::uint32_t>(std::ranges::count_if(all, takes_turns));
  if (count == 0) {
    const auto other = std::ranges::find_if(all, usable);
    return other == all.end() ? 0 : position(other);
  }
  std::uint32_t turn = state.rotation++ % count;
  auto found = std::ranges::find_if(all, takes_turns);
  for (; turn != 0; --turn) found = std::find_if(found + 1, all.end(), takes_turns);
  return position(found);
}

// The list may have been swapped since the attempt began; then an address may be missed, or tried
// twice, but there is an end to it.
std::optional<Destination> TargetSet::beside(Attempt& attempt, Instant now) {
  State& state = states_[attempt.target];
  if (state.kind != Kind::kLoopback && state.kind != Kind::kName) return std::nullopt;
  const std::scoped_lock lock(state.mutex);
  const auto& all = state.addresses;
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(all.size(), kTriedBits));
  if (!any_left(attempt, count)) return std::nullopt;
  const wire::IpFamily latest = all[attempt.address % all.size()].ip.family();
  std::uint32_t best = count;
  unsigned best_rank = 4;
  for (std::uint32_t i = 1; i <= count && best_rank != 0; ++i) {
    const std::uint32_t position = (attempt.address + i) % count;
    if ((attempt.addresses_tried & tried_bit(position)) != 0) continue;
    const Address& address = all[position];
    const unsigned rank =
        (address.avoid_until > now ? 2U : 0U) + (address.ip.family() == latest ? 1U : 0U);
    if (rank >= best_rank) continue;
    best = position;
    best_rank = rank;
  }
  if (best == count) return std::nullopt;
  attempt.address = best;
  attempt.addresses_tried |= tried_bit(best);
  Destination destination = at(state, attempt, all[best].ip);
  destination.others = any_left(attempt, count);
  return destination;
}

void TargetSet::set_back(std::uint32_t target, std::uint32_t address, Instant now) {
  State& state = states_[target];
  if (state.kind != Kind::kLoopback && state.kind != Kind::kName) return;
  const std::scoped_lock lock(state.mutex);
  if (address < state.addresses.size()) state.addresses[address].avoid_until = now + kAvoidFor;
}

Destination TargetSet::at(const State& state, const Attempt& attempt,
                          const wire::IpAddress& address) {
  if (state.kind == Kind::kPath) {
    return {.target = attempt.target, .inet = std::nullopt, .scope_id = 0, .path = state.path};
  }
  const int port = state.port + (state.port_range ? attempt.port_offset : 0);
  return {.target = attempt.target,
          .inet = wire::Endpoint{address, wire::Port{static_cast<std::uint16_t>(port)}},
          .scope_id = state.scope_id,
          .path = {}};
}

void TargetSet::avoid(State& state, Instant until) {
  state.avoid_until_ns.store(until.time_since_epoch().count(), std::memory_order_relaxed);
}

bool TargetSet::is_name(std::uint32_t target) const { return states_[target].kind == Kind::kName; }

void TargetSet::set_addresses(std::uint32_t target, const std::vector<wire::IpAddress>& addresses) {
  State& state = states_[target];
  if (state.kind != Kind::kName) unreachable("addresses were set of a target that has its own");
  std::vector<Address> fresh;
  fresh.reserve(addresses.size());
  bool any_new = false;
  const std::scoped_lock lock(state.mutex);
  for (const wire::IpAddress& ip : addresses) {
    const auto known = std::ranges::find(state.addresses, ip, &Address::ip);
    any_new |= known == state.addresses.end();
    fresh.push_back(known == state.addresses.end() ? Address{.ip = ip} : *known);
  }
  state.addresses = std::move(fresh);
  // What failed was the old place.
  if (any_new) avoid(state, Instant::min());
  state.has_address.store(!state.addresses.empty(), std::memory_order_relaxed);
}

std::vector<wire::IpAddress> TargetSet::addresses(std::uint32_t target) const {
  const State& state = states_[target];
  if (state.kind == Kind::kPath) return {};
  if (state.kind == Kind::kLiteral) return {state.literal};
  const std::scoped_lock lock(state.mutex);
  std::vector<wire::IpAddress> all;
  all.reserve(state.addresses.size());
  std::ranges::transform(state.addresses, std::back_inserter(all), &Address::ip);
  return all;
}

void TargetSet::set_up(std::uint32_t target, bool up) {
  states_[target].up.store(up, std::memory_order_relaxed);
}

bool TargetSet::up(std::uint32_t target) const {
  return states_[target].up.load(std::memory_order_relaxed);
}

std::uint32_t TargetSet::active(std::uint32_t target) const {
  return states_[target].active.load(std::memory_order_relaxed);
}

}  // namespace sluice::forward
