// Our flow table against a library's and the standard's: see docs/adr/0003-flow-table.md.
//
// All three find the index of a flow by its key, under the same keyed hash. In ours the key stays
// in the slab; the others hold a copy. As in the engine, a flow that was found is then touched, and
// whoever erases a flow knows its index. Keys are those of one guest: one address, many ports.
#include <absl/container/flat_hash_map.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "base/slab.h"
#include "flow/table.h"

namespace sluice::flow {
namespace {

struct KeyHash {
  KeyedHash keyed{HashSecret{}};
  std::size_t operator()(const FlowKey& key) const { return key.hash(keyed); }
};

// As large as a flow of TCP, so that the cache sees what it would.
struct Flow {
  explicit Flow(const FlowKey& flow_key) : key(flow_key) {}
  FlowKey key;
  std::array<std::uint8_t, 320> state{};
};

FlowKey key_of(std::uint32_t number) {
  return {{wire::IpAddress::v4(0x0a00'020f),
           wire::Port{static_cast<std::uint16_t>(1024 + number % 60'000)}},
          {wire::IpAddress::v4(0xc633'6400U + number / 60'000), wire::Port{443}},
          wire::IpProtocol::kTcp};
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

 private:
  Map map_;
  Slab<Flow> flows_;
};

using OfAbsl = OfMap<absl::flat_hash_map<FlowKey, std::uint32_t, KeyHash>>;
using OfStd = OfMap<std::unordered_map<FlowKey, std::uint32_t, KeyHash>>;

// Keys [0, count) in an order that no prefetcher guesses.
std::vector<FlowKey> shuffled_keys(std::uint32_t first, std::uint32_t count) {
  std::vector<FlowKey> keys;
  for (std::uint32_t i = 0; i < count; ++i) keys.push_back(key_of(first + i));
  Prng prng(1);
  std::ranges::shuffle(keys, prng);
  return keys;
}

template <typename Table>
void fill(Table& table, std::uint32_t count) {
  for (const FlowKey& key : shuffled_keys(0, count)) table.insert(key);
}

template <typename Table>
void lookup_hit(benchmark::State& state) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  Table table;
  fill(table, count);
  const std::vector<FlowKey> keys = shuffled_keys(0, count);
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.at(table.find(keys[next])).state[0]);
    if (++next == keys.size()) next = 0;
  }
}

template <typename Table>
void lookup_miss(benchmark::State& state) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  Table table;
  fill(table, count);
  const std::vector<FlowKey> keys = shuffled_keys(1'000'000, count);
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.find(keys[next]));
    if (++next == keys.size()) next = 0;
  }
}

// The oldest flow goes and a new one comes, with `count` alive.
template <typename Table>
void erase_insert(benchmark::State& state) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  Table table;
  std::vector<std::uint32_t> places;  // A ring: the oldest is at `next % count`.
  for (std::uint32_t i = 0; i < count; ++i) places.push_back(table.insert(key_of(i)));
  std::uint32_t next = 0;
  for (auto _ : state) {
    std::uint32_t& place = places[next % count];
    table.erase(key_of(next), place);
    place = table.insert(key_of(next + count));
    ++next;
  }
}

#define FLOW_TABLE_BENCH(function)                                         \
  BENCHMARK_TEMPLATE(function, Ours)->Arg(10)->Arg(1'000)->Arg(100'000);   \
  BENCHMARK_TEMPLATE(function, OfAbsl)->Arg(10)->Arg(1'000)->Arg(100'000); \
  BENCHMARK_TEMPLATE(function, OfStd)->Arg(10)->Arg(1'000)->Arg(100'000)

FLOW_TABLE_BENCH(lookup_hit);
FLOW_TABLE_BENCH(lookup_miss);
FLOW_TABLE_BENCH(erase_insert);

}  // namespace
}  // namespace sluice::flow
