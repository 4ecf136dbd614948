// One worker: one link, one engine, one loop. It pumps frames and events between them and is the
// only reader of the clock. Single-threaded; owns everything it pumps.
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
#include "driver/io/tcp_io.h"
#include "driver/io/udp_io.h"
#include "driver/published.h"
#include "flow/engine/engine.h"
#include "link/link.h"
#include "netlink/address_watch.h"
#include "netns/child_process.h"
#include "resolv/resolver_config.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/signal_fd.h"
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
  FastPathOptions fast_path;
  bool keep_report = false;
  std::optional<telemetry::FlowLog> flow_log;
};

class Worker {
 public:
  // References are not owned; `loop` is empty.
  Worker(sys::Kernel& kernel, sys::EventLoop& loop, WorkerOptions options);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Blocks until the fast path is ready, or says what it lacks. Before the command runs.
  [[nodiscard]] std::expected<void, sys::SetupError> await_fast_path() {
    return fast_path_.await();
  }

  // Serves until the command has ended and what it left in its sockets is delivered. Returns the
  // command's exit status.
  [[nodiscard]] int run(netns::ChildProcess& child, sys::SignalFd& signals);

  // Its report is borrowed from here.
  [[nodiscard]] telemetry::Snapshot snapshot() const;

 private:
  void turn(Instant limit);
  void dispatch(const epoll_event& event, Instant now);
  void on_link(link::Link::Depth depth, Instant now);
  void write_frames();
  void settle(Instant now);
  void drain();
  void on_signals();
  void tell_given_up(const std::vector<flow::TcpFlows::GivenUp>& given_up) const;
  void on_host_addresses();
  [[nodiscard]] Instant next_wakeup(Instant now);

  sys::EventLoop& loop_;
  flow::Engine engine_;
  flow::ActionSink sink_;
  std::unique_ptr<link::Link> link_;
  TcpIo tcp_;
  HandOvers fast_path_;
  UdpIo udp_;
  PingIo ping_;
  DnsIo dns_;
  PortPublisher published_;
  FlowReporter reporter_;
  std::optional<netlink::AddressWatch> addresses_;
  netns::ChildProcess* child_ = nullptr;  // Only while run() runs.
  sys::SignalFd* signals_ = nullptr;
  std::optional<int> exit_code_;
  bool link_gone_ = false;  // The guest deleted its interface.
  bool draining_ = false;   // The command has ended.
  bool abandoned_ = false;  // ... and whoever waits for us does not want to.
  std::array<epoll_event, 64> events_;
};

}  // namespace sluice::driver
