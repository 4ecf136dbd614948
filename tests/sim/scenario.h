// What one seed stands for: the link, the sizes, and what each connection's two ends will do.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/prng.h"
#include "base/time.h"
#include "fault_injector.h"
#include "flow/tcp/tcp_flows.h"
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
  Duration pauses_after{};  // Of the opening: the guest's program reads nothing for a while.
  Duration pause{};
  std::uint32_t urgent_every = 0;  // So manieth of its writes ends with an urgent byte; 0: none.
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
  // Of the host's stream: once this byte is to be discarded, the socket's queue comes up short.
  std::optional<std::uint64_t> short_at{};
};

struct LinkPlan {
  bool lossless = true;
  Duration latency_to_engine{};
  Duration latency_to_guest{};
  sim::FaultRates faults{};
  Duration faults_end{};  // From then on the link is without fault, so that all can end.
};

// What becomes of connections that are handed over to the guest's kernel.
struct HandOverPlan {
  flow::HandOverWhen when = flow::HandOverWhen::kNever;
  Duration ready_after{};                // The agent needs a while to begin with,
  std::optional<Duration> ends_after{};  // and may go.
  Duration acts_within{};                // How long the agent takes to make a socket of an order,
  Duration answers_within{};             // and then to say so.
  std::uint32_t refused = 0;             // Of a hundred: nothing is made.
  std::uint32_t taken_back = 0;          // Of a hundred: made, and taken back.
  std::uint32_t astray = 0;  // Of a thousand packets of the guest's: come by the tap yet.
  Duration turn_max{};       // How long the carrier leaves what is ready.
};

// Who decides about the guest's flows, where somebody does.
struct AskPlan {
  bool new_flows = false;
  bool datagrams = false;
  std::uint32_t gate = 0;     // Of a hundred that are let through: their first bytes are judged.
  std::uint32_t refused = 0;  // Of a hundred,
  std::uint32_t never = 0;    // and never answered.
  Duration answers_within = std::chrono::microseconds(1);
  std::uint64_t bytes_wanted = 0;
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
  HandOverPlan hand_over{};
  AskPlan ask{};
};

[[nodiscard]] Scenario draw_scenario(Prng& prng);
// With a generator of its own, so that the rest of a seed's scenario is what it was before.
void draw_hand_over(Prng& prng, Scenario& scenario);
// Urgent bytes of both ends, and sockets that lose what they held.
void draw_urgent(Prng& prng, Scenario& scenario);
// Whether somebody is asked about flows.
void draw_ask(Prng& prng, Scenario& scenario);
// When the command ends, if it does before its connections do; some hosts are slow then.
[[nodiscard]] std::optional<Duration> draw_end_of_command(Prng& prng, Scenario& scenario);

}  // namespace sluice::sim
