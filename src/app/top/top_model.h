// What `sluice top` shows, as it follows from one look at a run's flows after the other: flows in
// groups by the domain that somebody registered, with rates. Makes no system call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace sluice::app {

// A flow as the run tells of it.
struct TopFlow {
  std::string number{};  // The 16 digits that name it.
  std::string proto{};
  std::string name{};  // Empty: not known.
  std::string address{};
  std::uint16_t port = 0;
  std::string guest{};
  std::uint16_t guest_port = 0;
  bool inbound = false;
  std::string path{};  // Who moves its bytes, as telemetry::to_string() has it.
  std::uint64_t to_host = 0;
  std::uint64_t to_guest = 0;
  double seconds = 0;  // It lives for so long.
  double rtt = 0;      // Seconds to the host and back; 0: not known.

  // Since the look before.
  double to_host_rate = 0;
  double to_guest_rate = 0;
  std::string process{};  // Empty: not known.

  // Of a forwarder's session: its rule, and where it is led; else empty.
  std::string forwarded_by{};
  std::string led_to{};

  // "example.org:443/tcp"
  [[nodiscard]] std::string target() const;
};

// A line of "flows"; nothing if it is none.
[[nodiscard]] std::optional<TopFlow> read_top_flow(std::string_view line);

struct TopGroup {
  std::string title{};
  std::vector<TopFlow> flows{};
  std::uint64_t to_host = 0;
  std::uint64_t to_guest = 0;
  double to_host_rate = 0;
  double to_guest_rate = 0;
  double seconds = 0;  // Of the oldest.
  double rtt = 0;      // Of the slowest.
  std::string path{};  // Of all of its flows; "mixed" where they differ.
};

enum class TopSort : std::uint8_t { kRate, kTotal, kFlows, kName, kAge };
inline constexpr std::size_t kTopSortCount = static_cast<std::size_t>(TopSort::kAge) + 1;
[[nodiscard]] std::string_view to_string(TopSort sort);

class TopModel {
 public:
  // The registered domain of a name; nothing: it is its own.
  using DomainOf = std::function<std::optional<std::string>(const std::string&)>;
  explicit TopModel(DomainOf domain_of) : domain_of_(std::move(domain_of)) {}

  // Another look, at all flows that live.
  void look(std::vector<TopFlow> flows, Instant now);

  // Those whose flows hold `filter` in a name, an address or a process, in this order.
  [[nodiscard]] std::vector<TopGroup> groups(TopSort sort, std::string_view filter) const;

  [[nodiscard]] const std::vector<TopFlow>& flows() const { return flows_; }

 private:
  struct Before {
    std::uint64_t to_host = 0;
    std::uint64_t to_guest = 0;
  };
  [[nodiscard]] std::string title_of(const TopFlow& flow) const;

  DomainOf domain_of_;
  std::vector<TopFlow> flows_;
  std::map<std::string, Before> before_;
  std::optional<Instant> looked_;
};

}  // namespace sluice::app
