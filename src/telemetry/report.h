// Whom the guest talked to: flows summed by name, address, port, protocol and result.
//
// Memory is bounded: beyond `max_rows` distinct rows, flows are summed in one row "others", and
// the report says how many flows that is. An ordered map keeps the cost of a look-up bounded too,
// as the guest chooses the keys.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/counters.h"
#include "telemetry/flow_record.h"

namespace sluice::telemetry {

enum class Color : std::uint8_t { kOff, kOn };

// kOn for a terminal, unless NO_COLOR is set (no-color.org) or TERM is "dumb".
[[nodiscard]] Color color_for(int fd);

class Report {
 public:
  static constexpr std::size_t kDefaultMaxRows = 10'000;

  explicit Report(std::size_t max_rows = kDefaultMaxRows) : max_rows_(max_rows) {}

  // No allocation if the row exists.
  void add(const FlowRecord& record);

  // An aligned table with totals, then the drops that are not zero.
  [[nodiscard]] std::string text(std::span<const Counter> drops, Color color) const;

  // {"flows": [{"name", "address", "port", "protocol", "direction", "verdict", "result",
  //             "flows", "bytes_to_host", "bytes_to_guest", "duration_s", "duration_s_max"}…],
  //  "others": {"flows", "bytes_to_host", "bytes_to_guest", "duration_s", "duration_s_max"} | null,
  //  "total": {as others},
  //  "drops": {NAME: COUNT…}}
  // "name" is null if the guest did not ask for one. The largest rows come first. Zero drops are
  // included: a missing name is then a spelling mistake, not a zero.
  [[nodiscard]] std::string json(std::span<const Counter> drops) const;

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }

 private:
  struct KeyView;
  // Outbound: the target. Inbound: the client's address and the guest's port, since clients call
  // from ephemeral ports.
  struct Key {
    std::string name;
    wire::Endpoint endpoint;
    policy::Protocol protocol;
    FlowDirection direction;
    policy::Verdict verdict;
    policy::Outcome failure;  // kClosed stands for every flow that was established.
  };
  struct KeyOrder {
    using is_transparent = void;
    bool operator()(const Key& a, const Key& b) const;
    bool operator()(const Key& a, const KeyView& b) const;
    bool operator()(const KeyView& a, const Key& b) const;
  };
  struct Sums {
    std::uint64_t flows = 0;
    std::uint64_t bytes_to_host = 0;
    std::uint64_t bytes_to_guest = 0;
    Duration duration{};
    Duration duration_max{};
    void add(const FlowRecord& record);
  };
  using Rows = std::map<Key, Sums, KeyOrder>;

  [[nodiscard]] static KeyView key_of(const FlowRecord& record);
  [[nodiscard]] static std::string_view result_of(const Key& key);
  [[nodiscard]] std::vector<const Rows::value_type*> sorted() const;

  std::size_t max_rows_;
  Rows rows_;
  Sums others_;
  Sums total_;
};

}  // namespace sluice::telemetry
