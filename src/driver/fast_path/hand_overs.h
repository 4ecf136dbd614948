// Hand-overs to the guest's kernel, as the driver sees them: asks the agent, keeps the packets that
// come in between, starts to carry what was handed over, and puts packets that went astray back on
// their way. docs/fast_path.md has the whole story. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "driver/fast_path/carrier.h"
#include "driver/fast_path/guest_socket_taker.h"
#include "driver/fast_path/held_resets.h"
#include "driver/io/settled.h"
#include "driver/io/tcp_io.h"
#include "flow/engine/engine.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "telemetry/counters.h"

namespace sluice::driver {

struct FastPathOptions {
  flow::HandOverWhen when = flow::HandOverWhen::kNever;
  std::uint64_t descriptor_limit = 0;  // Of this process.
  std::uint32_t workers = 1;           // Who share it.
  bool tells = true;  // What becomes of the agent, which several would say of the same one.
};

class HandOvers {
 public:
  // References are not owned. Without an agent nothing is handed over.
  HandOvers(sys::Kernel& kernel, sys::EventLoop& loop, flow::Engine& engine, TcpIo& tcp,
            agent::GuestAgent agent, const FastPathOptions& options);

  // Blocks until the agent is ready, or says what it lacks.
  [[nodiscard]] std::expected<void, sys::SetupError> await();

  void hand_over(const flow::HandOverTcp& action, flow::Turn turn);
  void divert(const flow::DivertTcp& action, Instant now);
  void release(const flow::ReleaseTcp& action);
  // False when the connection is still TcpIo's to close.
  [[nodiscard]] bool close(const flow::CloseTcp& action);

  // The agent has something to say. Packets of a hand-over that failed go through the engine, and
  // are kept until this or on_time() is called again. A CloseTcp that waits must not be overtaken.
  void on_agent(Settled settled);

  // The agent makes sockets as well: for whom. Not owned.
  void set_taker(GuestSocketTaker& taker) { taker_ = &taker; }
  [[nodiscard]] agent::GuestAgent& agent() { return agent_; }
  // For a connection more of two sockets: new flows must always find theirs.
  [[nodiscard]] bool has_descriptors() const;

  [[nodiscard]] Carrier& carrier() { return carrier_; }
  [[nodiscard]] const Carrier& carrier() const { return carrier_; }
  // For a worker that is about to wait. Call on_time() whenever it was woken: it is cheap.
  [[nodiscard]] Instant next_wakeup(Instant now);
  void on_time(Settled settled);

  [[nodiscard]] std::vector<telemetry::Counter> counters() const;
  // How many were done, and how many were refused or came to nothing.
  [[nodiscard]] std::uint64_t handed_over() const { return handed_over_; }
  [[nodiscard]] std::uint64_t failed() const { return refused_; }

 private:
  // A connection that the agent was asked for. It stays until the agent answers, also when the flow
  // is closed meanwhile.
  struct Asked {
    flow::TcpId id;
    bool closed = false;
    bool reset = false;  // By the guest.
    wire::TcpSnapshot snapshot;
    Instant deadline{};
    // Whole IP packets of the guest's, as they came.
    std::vector<std::vector<std::uint8_t>> packets;
    std::size_t bytes = 0;
  };
  using Packets = std::vector<std::vector<std::uint8_t>>;

  void hear_agent(flow::Turn turn);
  [[nodiscard]] Asked* find(flow::TcpId id);
  // The flow's packets, for whom it may concern; the flow is not among those asked for any more.
  [[nodiscard]] Packets take_packets(Asked& asked);
  [[nodiscard]] host::TcpSocket adopt(UniqueFd socket);
  void end_abandoned(const wire::TcpSnapshot& snapshot, host::TcpSocket socket);
  void on_message(agent::AgentReady message);
  void on_message(const agent::AgentMissing& message);
  void on_message(agent::AgentHandedOver message, flow::Turn turn);
  void on_message(const agent::AgentRefused& message, flow::Turn turn);
  void on_message(const agent::AgentRepaired& message);
  void give_up(Asked& asked, flow::Turn turn);
  void lose_agent(flow::Turn turn);
  // To the loopback; a RST once its socket has what stands before it.
  void pass_on(flow::TcpId id, ByteView packet, std::optional<wire::SeqNum> reset, Instant now);
  void inject(ByteView packet);
  void repair(Instant now);
  // Whether all are told: nothing that is asked may overtake one.
  bool flush_releases();
  // One place for each socket that may come. False: there is none left.
  [[nodiscard]] bool hold_places(std::size_t count);

  sys::EventLoop& loop_;
  flow::Engine& engine_;
  TcpIo& tcp_;
  sys::Kernel& kernel_;
  FastPathOptions options_;
  agent::GuestAgent agent_;
  GuestSocketTaker* taker_ = nullptr;
  Carrier carrier_;
  UniqueFd inject_v4_;
  UniqueFd inject_v6_;
  Slab<Asked> asked_;
  // Descriptors that only hold the places of the sockets that were asked for: new flows would take
  // them meanwhile, and a socket that finds no place is lost, its connection with it.
  std::vector<sys::KernelFd> places_;
  std::vector<SlabHandle> by_flow_;  // At the index of the flow's id.
  std::size_t bytes_waiting_ = 0;    // In packets of all that were asked for.
  Instant check_at_ = kNever;        // When to see whether the agent still answers.
  // Of hand-overs that failed: the engine's actions borrow their bytes until they are settled.
  std::vector<Packets> returned_;
  HeldResets resets_;
  std::vector<std::uint8_t> packet_;        // One that is injected.
  std::vector<flow::ReleaseTcp> releases_;  // That the agent could not be told yet.
  Instant repair_after_{};
  std::uint32_t failures_in_a_row_ = 0;
  Instant resume_at_ = kNever;  // After many failures nobody is handed over until then.
  bool ready_ = false;
  std::uint64_t handed_over_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t injected_ = 0;
  std::uint64_t repairs_ = 0;
};

}  // namespace sluice::driver
