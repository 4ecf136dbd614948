#include "micro/engine_driver.h"

#include <algorithm>
#include <cstring>
#include <variant>

#include "base/overloaded.h"
#include "base/unreachable.h"
#include "unit/flow/engine/guest_frames.h"

namespace sluice::bench {
namespace {

flow::EngineOptions options_for(const wire::LinkFeatures& link) {
  flow::EngineOptions options;
  options.link = link;
  options.limits = {.max_flows = 0, .new_flows_per_second = 0};
  return options;
}

}  // namespace

EngineDriver::EngineDriver(const wire::LinkFeatures& link)
    : engine(options_for(link), flow::EngineSeeds{}, now),
      host_bytes_(flow::test::stream(0, kHostBytesMax)) {
  engine.set_resolvers({flow::test::endpoint("192.0.2.53:53")});
}

void EngineDriver::turn() {
  engine.end_burst(flow::BurstEnd::kDrained, {now, sink});
  if (engine.has_deferred()) engine.run_deferred({now, sink});
  if (engine.next_wakeup() <= now) engine.on_timers({now, sink});
  settle();
}

void EngineDriver::pass(Duration time) {
  const Instant end = now + time;
  while (engine.next_wakeup() <= end) {
    now = std::max(now, engine.next_wakeup());
    engine.on_timers({now, sink});
    settle();
  }
  now = end;
}

void EngineDriver::host_sends(flow::TcpId id, std::uint32_t bytes) {
  queued_ += bytes;
  engine.tcp().on_readable(id, false, {now, sink});
  settle();
}

void EngineDriver::host_ends(flow::TcpId id) {
  ended_ = true;
  engine.tcp().on_readable(id, true, {now, sink});
  settle();
  ended_ = false;
}

void EngineDriver::require_no_drops() const {
  for (std::size_t i = 0; i < flow::kDropReasonCount; ++i) {
    require(engine.drops()[static_cast<flow::DropReason>(i)] == 0, "no frame is dropped");
  }
}

[[gnu::noinline]] void EngineDriver::settle() {
  auto& actions = sink.actions();
  const Overloaded run{[&](const flow::ConnectTcp& action) {
                         ++carried.connects;
                         connecting = action.flow;
                       },
                       [&](const flow::AskPolicy&) { unreachable("nobody asks"); },
                       [&](const flow::WithdrawAsk&) { unreachable("nobody asks"); },
                       [&](const flow::FindTarget&) { unreachable("no names decide"); },
                       [&](const flow::StashTcp&) { ++carried.stashes; },
                       [&](const flow::WriteTcp& action) { write(action); },
                       [&](const flow::PeekTcp& action) {
                         peek(action);
                         write_frames();  // They borrow the peek buffer.
                       },
                       [&](const flow::DiscardTcp& action) {
                         carried.discarded_bytes += action.bytes;
                         queued_ -= action.bytes;
                       },
                       [&](const flow::ShutdownTcp&) { ++carried.shutdowns; },
                       [&](const flow::CloseTcp&) {
                         ++carried.closes;
                         queued_ = 0;
                       },
                       [](const flow::ProbeTcp&) { unreachable("nobody is silent"); },
                       [](const flow::HandOverTcp&) { unreachable("nobody is handed over"); },
                       [](const flow::DivertTcp&) { unreachable("nobody is handed over"); },
                       [](const flow::ReleaseTcp&) { unreachable("nobody is handed over"); },
                       [](const flow::CallGuest&) { unreachable("nobody calls the guest"); },
                       [](const flow::OpenGuestUdp&) { unreachable("nobody calls the guest"); },
                       [](const flow::JoinTcp&) { unreachable("nobody calls the guest"); },
                       [](const flow::AnswerGuest&) { unreachable("nobody calls a listener"); },
                       [&](const flow::OpenUdp&) { ++carried.sockets_opened; },
                       [&](const flow::SendUdp& action) {
                         ++carried.datagrams;
                         carried.datagram_bytes += action.payload.size();
                         udp = action.socket;
                       },
                       [&](const flow::CloseUdp&) {},
                       [&](const flow::OpenPing&) { ++carried.sockets_opened; },
                       [&](const flow::SendPing& action) {
                         ++carried.pings;
                         ping = action.socket;
                       },
                       [&](const flow::ClosePing&) {},
                       [&](const flow::ReportFlow& action) {
                         (void)engine.name_of(action.summary.key.remote.address);
                         ++carried.reports;
                       }};
  for (std::size_t done = 0; done < actions.size(); ++done) {
    // By value: carrying one out may add more and move them.
    const flow::Action action = actions[done];
    std::visit(run, action);
  }
  if (!engine.dns_actions().empty()) run_dns_actions();
  sink.clear_actions();
  write_frames();
}

void EngineDriver::write(const flow::WriteTcp& action) {
  std::uint64_t bytes = 0;
  for (std::uint32_t at = action.first_range; at != flow::kNoRange; at = sink.range(at).next) {
    bytes += sink.range(at).bytes.size();
  }
  carried.written_bytes += bytes;
  engine.tcp().on_written(action.flow, {action.until - action.offset, 0, kRoom}, {now, sink});
}

void EngineDriver::peek(const flow::PeekTcp& action) {
  const std::uint32_t here = queued_ > action.offset ? queued_ - action.offset : 0;
  const std::uint32_t size =
      std::min({here, action.max, static_cast<std::uint32_t>(host_bytes_.size())});
  flow::PeekStatus status = flow::PeekStatus::kData;
  if (size == 0) status = ended_ ? flow::PeekStatus::kEndOfStream : flow::PeekStatus::kWouldBlock;
  engine.tcp().on_peeked(
      action.flow,
      {action.sequence, status, ByteView(host_bytes_).first(size), size > 0 && size == action.max},
      {now, sink});
}

// As in the driver, the list is swapped away, so its memory is not kept.
void EngineDriver::run_dns_actions() {
  std::vector<dns::DnsAction> actions;
  actions.swap(engine.dns_actions());
  for (const dns::DnsAction& action : actions) {
    if (const auto* open = std::get_if<dns::OpenDnsUdp>(&action)) {
      ++carried.dns_queries;
      dns_slot = open->slot;
      dns_sent.assign(open->message.begin(), open->message.end());
    }
  }
}

void EngineDriver::write_frames() {
  for (const wire::FrameOut& out : sink.frames()) {
    const ByteView header = sink.frames().header(out);
    ++carried.frames;
    carried.frame_bytes += header.size() + out.payload.size();
    carried.payload_bytes += out.payload.size();
    last_size_ = std::min(header.size(), last_.size());
    std::memcpy(last_.data(), header.data(), last_size_);
  }
  sink.frames().clear();
}

}  // namespace sluice::bench
