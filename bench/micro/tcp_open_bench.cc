// How TCP flows begin and end: SYNs of the guest, clients of a published port, whole connections.
#include <fmt/core.h>

#include "micro/guest_tcp.h"

namespace sluice::bench {
namespace {

constexpr std::uint64_t kFlows = 256;

// `count` connections of the guest from ports of their own.
std::vector<GuestTcp> connections(const EngineDriver& driver, Family family, std::size_t count,
                                  std::uint16_t first_port = 10'000) {
  std::vector<GuestTcp> all;
  for (std::size_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first_port + i);
    all.emplace_back(driver.network(), guest_endpoint(family, port), remote_endpoint(family, 80));
  }
  return all;
}

// A SYN of the guest becomes a connect of the host, while `pending` others wait for theirs.
class Syn {
 public:
  static constexpr std::uint64_t kBatch = kFlows;

  explicit Syn(Family family, std::size_t pending = 0)
      : guests_(connections(driver_, family, kFlows)), pending_(pending) {
    for (const GuestTcp& guest : connections(driver_, family, pending, 30'000)) {
      driver_.turn(guest.syn());
    }
  }
  // The host's connects time out, at which the guest is told nothing.
  void restore() {
    require(driver_.carried.connects == pending_ + done_, "each SYN led to a connect");
    require(driver_.engine.flow_count() == pending_ + started_, "each SYN made a flow");
    for (std::size_t i = 0; i < started_; ++i) {
      driver_.tcp().on_connect_failed(guests_[i].id, flow::HostError::kTimedOut,
                                      {driver_.now, driver_.sink});
      driver_.settle();
    }
    require(driver_.engine.flow_count() == pending_, "only the pending connects are left");
    driver_.require_no_drops();
    started_ = 0;
  }
  void operator()() {
    GuestTcp& guest = guests_[started_];
    driver_.turn(guest.syn());
    guest.id = driver_.connecting;
    ++started_;
    ++done_;
  }
  void check() { restore(); }

 private:
  EngineDriver driver_;
  std::vector<GuestTcp> guests_;
  std::size_t pending_;
  std::size_t started_ = 0;
  std::uint64_t done_ = 0;
};

// Resets the first `count` connections, which relay.
void reset(EngineDriver& driver, std::vector<GuestTcp>& guests, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) driver.turn(guests[i].rst());
  require(driver.engine.flow_count() == 0, "a reset ends each flow");
  driver.require_no_drops();
}

// A client of a published port: our SYN to the guest.
class InboundSyn {
 public:
  static constexpr std::uint64_t kBatch = kFlows;

  explicit InboundSyn(Family family) : guests_(connections(driver_, family, kFlows)) {}
  void restore() {
    require(driver_.engine.flow_count() == started_, "each client made a flow");
    require(driver_.carried.frames == done_, "each client led to one frame");
    for (std::size_t i = 0; i < started_; ++i) driver_.turn(guests_[i].rst());
    require(driver_.engine.flow_count() == 0, "the guest refused each");
    driver_.require_no_drops();
    started_ = 0;
  }
  void operator()() {
    guests_[started_++].call_in(driver_);
    ++done_;
  }
  void check() { restore(); }

 private:
  EngineDriver driver_;
  std::vector<GuestTcp> guests_;
  std::size_t started_ = 0;
  std::uint64_t done_ = 0;
};

// The guest's SYN-ACK to our SYN: the flow relays, the guest has its ACK.
class InboundSynAck {
 public:
  static constexpr std::uint64_t kBatch = kFlows;

  explicit InboundSynAck(Family family) : guests_(connections(driver_, family, kFlows)) {}
  void restore() {
    check();
    reset_all();
    for (GuestTcp& guest : guests_) guest.call_in(driver_);
    require(driver_.engine.flow_count() == kFlows, "all clients wait");
    frames_ = driver_.carried.frames;
  }
  void operator()() { driver_.turn(guests_[accepted_++].syn_ack()); }
  void check() {
    require(driver_.carried.frames == frames_ + accepted_, "each SYN-ACK was acknowledged");
  }

 private:
  // The refusal of a SYN and the reset of a connection look the same.
  void reset_all() {
    reset(driver_, guests_, driver_.engine.flow_count() == 0 ? 0 : kFlows);
    accepted_ = 0;
  }

  EngineDriver driver_;
  std::vector<GuestTcp> guests_;
  std::uint64_t frames_ = 0;
  std::size_t accepted_ = 0;
};

// From the client of a published port to the flow that relays.
class Accept {
 public:
  static constexpr std::uint64_t kBatch = kFlows;

  explicit Accept(Family family) : guests_(connections(driver_, family, kFlows)) {}
  void restore() {
    require(driver_.carried.frames == 2 * done_, "a SYN and an ACK for each");
    reset(driver_, guests_, started_);
    started_ = 0;
  }
  void operator()() {
    guests_[started_++].accept(driver_);
    ++done_;
  }
  void check() { restore(); }

 private:
  EngineDriver driver_;
  std::vector<GuestTcp> guests_;
  std::size_t started_ = 0;
  std::uint64_t done_ = 0;
};

// One connection of the guest from SYN to the last FIN, with 64 bytes each way; a millisecond for
// each, so that with one that begins another leaves its linger.
class ConnectCycle {
 public:
  static constexpr std::uint64_t kCounted = 200;
  static constexpr std::uint32_t kBytes = 64;

  explicit ConnectCycle(Family family) : guests_(connections(driver_, family, kPorts)) {
    for (GuestTcp& guest : guests_) guest.set_data_size(driver_.network(), kBytes);
    for (std::size_t i = 0; i < kPorts; ++i) (*this)();
  }
  void operator()() {
    GuestTcp& guest = guests_[next_];
    if (++next_ == kPorts) next_ = 0;
    driver_.pass(std::chrono::milliseconds(1));
    guest.establish(driver_);
    driver_.turn(guest.data());
    driver_.host_sends(guest.id, kBytes);
    guest.host_next += kBytes;
    driver_.host_ends(guest.id);
    guest.host_next += 1;
    driver_.turn(guest.fin());
    ++done_;
  }
  void check() const {
    const Carried& carried = driver_.carried;
    require(carried.connects == done_ && carried.reports == done_ && carried.closes == done_,
            "each connection was made, closed and reported");
    require(carried.written_bytes == done_ * kBytes && carried.payload_bytes == done_ * kBytes,
            "64 bytes went each way");
    require(driver_.engine.flow_count() <= 1024, "connections leave their linger");
    driver_.require_no_drops();
  }

 private:
  static constexpr std::size_t kPorts = 2048;

  EngineDriver driver_;
  std::vector<GuestTcp> guests_;
  std::size_t next_ = 0;
  std::uint64_t done_ = 0;
};

const Registrar registrar([] {
  for (const Family family : kFamilies) {
    const std::string_view v = name_of(family);
    add<Syn>(fmt::format("process_syn/{}", v), family);
    for (const std::size_t pending : {0UL, 10UL, 100UL, 1000UL}) {
      add<Syn>(fmt::format("process_syn_during_pending_connects/{}/{}", pending, v), family,
               pending);
    }
    add<InboundSyn>(fmt::format("synthesize_inbound_syn/{}", v), family);
    add<InboundSynAck>(fmt::format("tcp_inbound_syn_ack_transition/{}", v), family);
    add<Accept>(fmt::format("port_forward_accept_latency/{}", v), family);
    add<ConnectCycle>(fmt::format("tcp_connect_cycle/{}", v), family);
  }
});

}  // namespace
}  // namespace sluice::bench
