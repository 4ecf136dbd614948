// One worker: one link, one engine, one loop. It pumps frames and events between them and is the
// only reader of the clock. It knows neither who its guest is nor what becomes of its counts: who
// runs it watches the guest in the same loop, and ends it. One thread; owns everything it pumps.
//
// Where several share a guest (driver/group) each is told its place: it then passes on the frames
// that are others', and takes what others pass on to it (worker_inbox.cc).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "driver/fast_path/hand_overs.h"
#include "driver/flow_reporter.h"
#include "driver/group/asked_flow.h"
#include "driver/group/group_member.h"
#include "driver/io/dialer.h"
#include "driver/io/dns_io.h"
#include "driver/io/ping_io.h"
#include "driver/io/settled.h"
#include "driver/io/tcp_io.h"
#include "driver/io/udp_io.h"
#include "driver/loopback/loopback_path.h"
#include "driver/port_publisher.h"
#include "driver/rule_hits.h"
#include "flow/engine/engine.h"
#include "link/link.h"
#include "netlink/address_watch.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"
#include "resolv/resolver_config.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "telemetry/events/event_stream.h"
#include "telemetry/metrics/totals.h"
#include "telemetry/snapshot.h"
#include "telemetry/usage/usage.h"

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
  // Ports of the guest's loopback that lead to the host's, which the first has, and when clients of
  // published ports are led to the guest's. For both it takes an agent.
  std::vector<policy::PortMap> loopback{};
  policy::LoopbackUse call_guest = policy::LoopbackUse::kNever;
  host::Outbound outbound;
  bool keep_report = false;
  std::optional<telemetry::FlowLog> flow_log;
  // Not owned, and the first's; null: nobody listens. What begins is told where `openings` says so.
  telemetry::EventStream* events = nullptr;
  telemetry::Usage* usage = nullptr;  // Where to note whom the guest talked to; the same.
  bool openings = false;
  flow::AskOptions ask{};  // How flows wait that the policy asks about.
  std::size_t spill_max = TcpIo::kSpillMax;
  // None: the guest is this worker's alone. Of several the first has what the guest has but once:
  // what listens, `addresses`, the report and the log.
  std::optional<GroupMember> member;
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
  // ... and until ports of the guest's loopback lead to the host's, as far as they can. After it.
  void await_loopback();

  // Watches a descriptor of Outside's, to be read.
  [[nodiscard]] std::expected<void, sys::SysError> watch(int fd, std::uint32_t number);
  void unwatch(int fd) { (void)loop_.remove(fd); }  // One that is not watched stays so.

  // One round: waits for events, until `limit` at most, and carries out what follows from them.
  void turn(Instant limit, Outside& outside);
  // Of a group: takes what others have handed to it until now. A turn does that by itself.
  void read_inbox(Outside& outside);
  // worker_control.cc
  // As Engine has them; each is carried out when this returns.
  void set_policy(const policy::EgressPolicy& policy, std::uint64_t generation);
  // Of a group, before set_policy() of all: the limits that they share are those of this policy.
  void bind_limits(const policy::EgressPolicy& policy);
  bool cut_off(std::uint64_t number, policy::Verdict why);
  [[nodiscard]] std::optional<std::uint64_t> list_flows(std::uint64_t from, std::size_t max,
                                                        std::vector<flow::FlowSummary>& out) const;
  // Asks the kernel, of each that is TCP.
  void add_round_trips(std::span<flow::FlowSummary> flows);
  // As PortPublisher has them.
  [[nodiscard]] std::expected<void, sys::SysError> publish(PublishedPorts ports);
  void unpublish(std::string_view map);
  // Ports of the guest's loopback that lead out from now on; of those that were there from the
  // start none goes.
  void lead_out(const std::vector<policy::PortMap>& ports);
  // As LoopbackPath has it; the first's.
  [[nodiscard]] bool leads_out(policy::Protocol protocol, wire::Port port) const {
    return loopback_.leads_out(protocol, port);
  }
  // Which of a group has what.
  [[nodiscard]] const flow::FrameOwner& frame_owner() const { return engine_.frame_owner(); }
  // Whether flows that begin are told of, and those that end where nobody else wants it.
  void tell_flows(bool wanted);
  // Who asks people; not owned, the first's, before the first turn. Null: there is nobody.
  void set_asker(Asker* asker) { asker_ = asker; }
  // The answer about a flow of this worker of the group; the first's.
  void rule(std::uint32_t worker, const FlowRuled& ruled);
  // With its name, which is borrowed until the next call. The first's.
  [[nodiscard]] telemetry::FlowRecord record_of(flow::FlowSummary summary);

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
  // Goes through all flows. worker_totals.cc
  [[nodiscard]] telemetry::Totals totals() const;
  // About how many flows and questions each rule of the policy in force has decided.
  [[nodiscard]] RuleHits rule_hits() const;

 private:
  void dispatch(const epoll_event& event, Instant now, Outside& outside);
  void on_link(link::Link::Depth depth, Settled settled, Outside& outside);
  [[nodiscard]] bool reads_link() const { return !link_gone_ && !link_paused_; }
  // What reports of flows become.
  void count(const flow::FlowSummary& summary);
  void report(flow::FlowSummary summary);
  void tell(const flow::FlowSummary& summary);
  // Borrowed until the next call.
  [[nodiscard]] std::string_view name_of(const flow::FlowSummary& summary);
  [[gnu::cold]] void tell_seen();
  // worker_ask.cc
  void ask(const flow::AskPolicy& action, Instant now);
  void ask_people(const AskedFlow& asked, Instant now);
  void withdraw(const flow::FlowId& flow);
  void rule_at(std::uint32_t worker, const FlowRuled& ruled, Instant now);
  void carry_out(const FlowRuled& ruled, Instant now,
                 flow::AskStage stage = flow::AskStage::kNewFlow);
  // worker_inbox.cc
  void on_parcel(const Parcel& parcel, flow::BurstEnd end, Instant now);
  void on_news(const Inbox::Mail& mail);
  void follow_resolvers(Instant now);
  void tell_others();
  void pause_link();
  void resume_link();
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
  Dialer dialer_;
  HandOvers hand_overs_;
  UdpIo udp_;
  LoopbackPath loopback_;
  PingIo ping_;
  DnsIo dns_;
  PortPublisher published_;
  FlowReporter reporter_;
  std::string name_;  // What name_of() lends.
  telemetry::RefusedNames refused_;
  telemetry::FlowsEnded ended_;
  telemetry::BytesMoved ended_bytes_;
  RuleHits rule_hits_;  // Of flows that have ended, and of questions.
  std::optional<netlink::AddressWatch> addresses_;
  std::vector<policy::PortMap> loopback_ports_;  // Until begin().
  std::optional<GroupMember> member_;
  Inbox::Mail mail_;
  Asker* asker_ = nullptr;
  const bool reports_always_;
  const bool audits_;  // What the policy refuses is only noted.
  bool reports_;       // Somebody wants to hear of flows.
  bool link_gone_ = false;
  bool link_paused_ = false;  // Another worker has no room for its frames.
  std::array<epoll_event, 64> events_;
};

}  // namespace sluice::driver
