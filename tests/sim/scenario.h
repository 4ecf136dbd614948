// What one seed stands for: the link, the sizes, and what each connection's two ends will do.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/prng.h"
#include "base/time.h"
#include "link/fault_injector.h"
#include "wire/address.h"

namespace sluice::sim {

// How an end closes its side.
enum class Ending : std::uint8_t {
  kAfterSending,  // FIN behind its last byte.
  kAfterPeer,     // FIN once it has seen the other's FIN and sent all it has.
  kReset,         // RST in the middle.
};

enum class ConnectResult : std::uint8_t { kAccepted, kRefused, kUnreachable, kTimedOut };

struct EndPlan {
  std::uint64_t to_send = 0;
  std::uint32_t write_chunk = 0;  // What the application writes at a time ...
  Duration write_interval{};      // ... and how often.
  std::uint32_t read_chunk = 0;
  Duration read_interval{};  // Zero: reads at once.
  Ending ending = Ending::kAfterSending;
  Duration reset_after{};  // Of the connection's opening.
  std::uint32_t receive_buffer = 65'536;
};

struct ConnectionPlan {
  bool inbound = false;
  wire::Endpoint guest{};
  wire::Endpoint remote{};
  Duration starts_after{};
  EndPlan guest_end{};
  EndPlan host_end{};

  std::uint16_t mss = 1460;
  std::optional<std::uint8_t> window_scale{};
  bool sack = false;
  bool delayed_ack = false;
  std::uint32_t isn = 0;
  std::uint32_t frame_max = 1460;  // Payload of the guest's largest frame.
  bool guest_refuses = false;      // Inbound only.

  ConnectResult connect_result = ConnectResult::kAccepted;
  Duration connect_delay{};
  std::uint32_t send_buffer = 65'536;  // Of the host's socket.
};

struct LinkPlan {
  bool lossless = true;
  Duration latency_to_engine{};
  Duration latency_to_guest{};
  link::FaultRates faults{};
  Duration faults_end{};  // From then on the link is without fault, so that all can end.
};

struct Scenario {
  LinkPlan link{};
  bool checksum_offload = false;
  bool tso = false;
  std::uint16_t mtu = 1500;
  std::size_t pool_bytes = 0;
  bool small_pool = false;
  std::uint32_t datagrams = 0;
  std::uint32_t pings = 0;
  std::vector<ConnectionPlan> connections{};
};

[[nodiscard]] Scenario draw_scenario(Prng& prng);

}  // namespace sluice::sim
