// Our flow table, and the same work on a library's and the standard's: docs/adr/0003-flow-table.md.
//
// All three find the index of a flow by its key, under the same keyed hash. In ours the key stays
// in the slab; the others hold a copy. As in the engine, a flow that was found is then touched, and
// whoever erases a flow knows its index. Keys are those of one guest: one address, many ports.
#include <absl/container/flat_hash_map.h>
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "base/slab.h"
#include "flow/core/flow_table.h"
#include "micro/harness.h"

namespace sluice::bench {
namespace {

using flow::FlowKey;
using flow::FlowTable;

struct KeyHash {
  std::size_t operator()(const FlowKey& key) const { return key.hash(HashSecret{}); }
};

// As large as a flow of TCP, so that the cache sees what it would.
struct Flow {
  explicit Flow(const FlowKey& flow_key) : key(flow_key) {}
  FlowKey key;
  std::array<std::uint8_t, 320> state{};
};

FlowKey key_v4(std::uint32_t number) {
  return {{wire::IpAddress::v4(0x0a00'020f),
           wire::Port{static_cast<std::uint16_t>(1024 + number % 60'000)}},
          {wire::IpAddress::v4(0xc633'6400U + number / 60'000), wire::Port{443}},
          wire::IpProtocol::kTcp};
}

FlowKey key_v6(std::uint32_t number) {
  std::array<std::uint8_t, 16> octets{0x20, 0x01, 0x0d, 0xb8};
  octets[15] = 0x0f;
  FlowKey key = key_v4(number);
  key.guest.address = wire::IpAddress::v6(FixedView<16>(octets));
  octets[15] = static_cast<std::uint8_t>(number / 60'000);
  key.remote.address = wire::IpAddress::v6(FixedView<16>(octets));
  return key;
}

class Ours {
 public:
  std::uint32_t insert(const FlowKey& key) {
    const std::uint32_t index = flows_.emplace(key).index;
    table_.insert(key, index);
    return index;
  }
  std::uint32_t find(const FlowKey& key) const {
    return table_.find(key,
                       [this](std::uint32_t at) -> const FlowKey& { return flows_.at(at).key; });
  }
  void erase(const FlowKey& key, std::uint32_t index) {
    table_.erase(key, index);
    flows_.erase(flows_.handle_of(index));
  }
  const Flow& at(std::uint32_t index) const { return flows_.at(index); }
  std::size_t size() const { return table_.size(); }

 private:
  FlowTable table_{HashSecret{}};
  Slab<Flow> flows_;
};

template <typename Map>
class OfMap {
 public:
  std::uint32_t insert(const FlowKey& key) {
    const std::uint32_t index = flows_.emplace(key).index;
    map_.emplace(key, index);
    return index;
  }
  std::uint32_t find(const FlowKey& key) const {
    const auto at = map_.find(key);
    return at == map_.end() ? FlowTable::kNone : at->second;
  }
  void erase(const FlowKey& key, std::uint32_t index) {
    map_.erase(key);
    flows_.erase(flows_.handle_of(index));
  }
  const Flow& at(std::uint32_t index) const { return flows_.at(index); }
  std::size_t size() const { return map_.size(); }

 private:
  Map map_;
  Slab<Flow> flows_;
};

using OfAbsl = OfMap<absl::flat_hash_map<FlowKey, std::uint32_t, KeyHash>>;
using OfStd = OfMap<std::unordered_map<FlowKey, std::uint32_t, KeyHash>>;

// `count` keys from the number `first` on, in an order that no prefetcher guesses.
std::vector<FlowKey> shuffled_keys(std::uint32_t first, std::uint32_t count) {
  std::vector<FlowKey> keys;
  for (std::uint32_t i = 0; i < count; ++i) keys.push_back(key_v4(first + i));
  Prng prng(1);
  std::ranges::shuffle(keys, prng);
  return keys;
}

template <typename Table>
class LookupHit {
 public:
  explicit LookupHit(std::uint32_t count) : keys_(shuffled_keys(0, count)) {
    for (const FlowKey& key : keys_) table_.insert(key);
  }
  void operator()() {
    const std::uint32_t index = table_.find(keys_[next_]);
    require(index != FlowTable::kNone, "a key that is there is found");
    benchmark::DoNotOptimize(table_.at(index).state[0]);
    if (++next_ == keys_.size()) next_ = 0;
  }

 private:
  Table table_;
  std::vector<FlowKey> keys_;
  std::size_t next_ = 0;
};

template <typename Table>
class LookupMiss {
 public:
  explicit LookupMiss(std::uint32_t count) : keys_(shuffled_keys(1'000'000, count)) {
    for (const FlowKey& key : shuffled_keys(0, count)) table_.insert(key);
  }
  void operator()() {
    require(table_.find(keys_[next_]) == FlowTable::kNone, "a key that is not there is not found");
    if (++next_ == keys_.size()) next_ = 0;
  }

 private:
  Table table_;
  std::vector<FlowKey> keys_;
  std::size_t next_ = 0;
};

// The oldest flow goes and a new one comes, with `count` alive.
template <typename Table, FlowKey (*KeyOf)(std::uint32_t) = key_v4>
class InsertRemove {
 public:
  explicit InsertRemove(std::uint32_t count) : count_(count) {
    for (std::uint32_t i = 0; i < count; ++i) places_.push_back(table_.insert(KeyOf(i)));
  }
  void operator()() {
    std::uint32_t& place = places_[oldest_];
    table_.erase(KeyOf(next_), place);
    place = table_.insert(KeyOf(next_ + count_));
    ++next_;
    if (++oldest_ == count_) oldest_ = 0;
  }
  void check() const {
    require(table_.size() == count_, "as many flows as at first");
    require(table_.find(KeyOf(next_)) != FlowTable::kNone, "the oldest flow is there");
  }

 private:
  Table table_;
  std::vector<std::uint32_t> places_;  // A ring, as the keys are.
  std::uint32_t count_;
  std::uint32_t next_ = 0;
  std::uint32_t oldest_ = 0;
};

template <typename Table>
void add_comparison(std::string_view library) {
  for (const std::uint32_t count : {10U, 1'000U, 100'000U}) {
    add<LookupHit<Table>>(fmt::format("flow_table_lookup_hit/{}/{}", library, count), count);
    add<LookupMiss<Table>>(fmt::format("flow_table_lookup_miss/{}/{}", library, count), count);
    add<InsertRemove<Table>>(fmt::format("flow_table_erase_insert/{}/{}", library, count), count);
  }
}

const Registrar registrar([] {
  for (const std::uint32_t count : {10U, 100U, 1'000U}) {
    add<InsertRemove<Ours, key_v4>>(fmt::format("flow_table_insert_remove/{}/v4", count), count);
    add<InsertRemove<Ours, key_v6>>(fmt::format("flow_table_insert_remove/{}/v6", count), count);
  }
  add_comparison<Ours>("ours");
  add_comparison<OfAbsl>("absl");
  add_comparison<OfStd>("std");
});

}  // namespace
}  // namespace sluice::bench
