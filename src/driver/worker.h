// One worker: one link, one engine, one loop. It pumps frames and events between them and is the
// only reader of the clock. It knows neither who its guest is nor what becomes of its counts: who
// runs it watches the guest in the same loop, and ends it. Single-threaded; owns everything it
// pumps.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "driver/fast_path/hand_overs.h"
#include "driver/flow_reporter.h"
#include "driver/io/dns_io.h"
#include "driver/io/ping_io.h"
#include "driver/io/settled.h"
#include "driver/io/tcp_io.h"
#include "driver/io/udp_io.h"
#include "driver/published.h"
#include "flow/engine/engine.h"
#include "link/link.h"
#include "netlink/address_watch.h"
#include "resolv/resolver_config.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "telemetry/snapshot.h"

namespace sluice::driver {

struct WorkerOptions {
  std::unique_ptr<link::Link> link;
  flow::EngineOptions engine;
  flow::EngineSeeds seeds;
  PublishedPorts published;
  resolv::ResolverConfig resolvers;
  std::optional<netlink::AddressWatch> addresses;  // None: nobody tells which are the host's.
  agent::GuestAgent agent;  // None: nothing is handed over to the guest's kernel.
  FastPathOptions hand_overs;
  host::Outbound outbound;
  bool keep_report = false;
  std::optional<telemetry::FlowLog> flow_log;
};

// Who runs a worker: told of what is not the worker's to decide, within a turn, in the order in
// which it came.
class Outside {
 public:
  // What was watched under this number is readable.
  virtual void on_ready(std::uint32_t number) = 0;
  // The other side took the link away. The worker goes on without.
  virtual void on_link_gone() = 0;

 protected:
  ~Outside() = default;
};

// What the guest left in its sockets when it ended.
struct Undelivered {
  std::size_t flows = 0;  // That have bytes for their hosts.
  std::uint64_t bytes = 0;
  bool late_resets = false;  // Sockets that are to be reset once their peers have all.
  Instant until = kNever;    // When somebody's patience ends.
  Instant look_again{};      // To look costs a system call for a connection: not before.
};

class Worker {
 public:
  // References are not owned; `loop` is empty.
  Worker(sys::Kernel& kernel, sys::EventLoop& loop, WorkerOptions options);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Watches what is there from the start. Once, before anything else.
  [[nodiscard]] std::expected<void, sys::SysError> begin();
  // Blocks until the fast path is ready, or says what it lacks. Before the command runs.
  [[nodiscard]] std::expected<void, sys::SetupError> await_fast_path() {
    return hand_overs_.await();
  }

  // Watches a descriptor of Outside's, to be read.
  [[nodiscard]] std::expected<void, sys::SysError> watch(int fd, std::uint32_t number);
  void unwatch(int fd) { (void)loop_.remove(fd); }  // One that is not watched stays so.

  // One round: waits for events, until `limit` at most, and carries out what follows from them.
  void turn(Instant limit, Outside& outside);
  // The guest has ended: takes what it sent last. From here on undelivered() tells what is left of
  // it, until which turns go on.
  void begin_drain(Outside& outside);
  // Nothing more is read of the guest.
  void close_link();
  [[nodiscard]] Undelivered undelivered();
  // Ends all flows, and writes what was gathered. Returns those whose hosts do not get everything.
  [[nodiscard]] std::vector<flow::TcpFlows::GivenUp> finish();

  [[nodiscard]] Instant now() const { return loop_.now(); }
  // Its report is borrowed from here.
  [[nodiscard]] telemetry::Snapshot snapshot() const;

 private:
  void dispatch(const epoll_event& event, Instant now, Outside& outside);
  void on_link(link::Link::Depth depth, Settled settled, Outside& outside);
  FramesWritten write_frames(Instant now);
  Settled settle(Instant now);
  void on_host_addresses();
  [[nodiscard]] Instant next_wakeup(Instant now);

  sys::EventLoop& loop_;
  flow::Engine engine_;
  flow::ActionSink sink_;
  const host::Outbound outbound_;
  std::unique_ptr<link::Link> link_;
  wire::LinkFeatures link_features_;  // As the engine has them.
  TcpIo tcp_;
  HandOvers hand_overs_;
  UdpIo udp_;
  PingIo ping_;
  DnsIo dns_;
  PortPublisher published_;
  FlowReporter reporter_;
  std::optional<netlink::AddressWatch> addresses_;
  bool link_gone_ = false;
  std::array<epoll_event, 64> events_;
};

}  // namespace sluice::driver
