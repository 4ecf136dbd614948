// Whom a guest talked to: names where they are known, else addresses, by port and protocol, for a
// policy that is learnt. Bounded, as the guest decides how many there are; what has no place is
// counted. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policy/protocol.h"
#include "telemetry/flow_record.h"
#include "wire/address.h"

namespace sluice::telemetry {

class Usage {
 public:
  static constexpr std::size_t kRowsMax = 10'000;
  // Of one row.
  static constexpr std::size_t kAddressesMax = 16;

  struct Key {
    std::string host;  // A name in lower case, or an address.
    bool is_name = false;
    std::uint16_t port = 0;
    policy::Protocol protocol{};
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Row {
    std::uint64_t flows = 0;
    std::uint64_t failed = 0;  // Of them: the host could not be reached, or would not.
    std::uint64_t bytes_to_host = 0;
    std::uint64_t bytes_to_guest = 0;
    std::vector<wire::IpAddress> private_addresses{};  // Of a name: that are not public.
  };

  // A flow that has ended. What was refused, and what came from outside, is none.
  void add(const FlowRecord& flow);

  [[nodiscard]] const std::map<Key, Row>& rows() const { return rows_; }
  [[nodiscard]] std::map<Key, Row>& rows() { return rows_; }
  // Flows that found no place.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  void leave_out(std::uint64_t flows) { left_out_ += flows; }

 private:
  std::map<Key, Row> rows_;
  std::uint64_t left_out_ = 0;
};

}  // namespace sluice::telemetry
