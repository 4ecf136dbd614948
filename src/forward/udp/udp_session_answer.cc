// Datagrams and bytes of targets on their way to clients, and targets' errors.
#include <utility>

#include "forward/datagram/datagram_throttle.h"
#include "forward/udp/udp_forwarder.h"
#include "host/stream_connect.h"

namespace sluice::forward {
namespace {

constexpr int kBatchesPerTurn = 2;
constexpr int kReadsPerTurn = 16;
constexpr int kErrorsPerTurn = 16;

host::OutgoingDatagram route_to_client(const UdpSession& session) {
  return {.target = session.key.client, .source = session.local, .scope_id = session.key.scope_id};
}

}  // namespace

[[gnu::noinline]] void UdpForwarder::read_answers(SlabHandle handle) {
  UdpSession* const session = sessions_.find(handle);
  if (session == nullptr || session->phase != UdpPhase::kOpen || session->stream != nullptr) return;
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    const auto slots = rows_.slots();
    const auto count = session->socket.receive(context_.scratch, slots);
    // An error is in the error queue, too.
    if (!count) continue;
    if (*count == 0) return;
    note_answer(*session);
    for (const host::IncomingDatagram& slot : slots.first(*count)) {
      answer(*session, host::DatagramRows::bytes_of(slot), slot.segment_size);
    }
    flush_answers(*session);
    if (*count < slots.size()) return;
  }
  mark_pending(handle, *session);
}

void UdpForwarder::note_answer(UdpSession& session) {
  session.last_traffic = context_.now;
  session.answered = true;
}

void UdpForwarder::answer(UdpSession& session, ByteView bytes, std::uint16_t segment_size) {
  const Passed passed =
      pass_throttle(session.ticket.to_client(), bytes.size(), segment_size, context_.now);
  count_one(session.rule->counters->datagrams_dropped, passed.dropped);
  if (passed.dropped > 0 && passed.bytes == 0) return;
  const ByteView passing = bytes.first(passed.bytes);
  if (batch_.empty()) batch_.direct(route_to_client(session));
  if (batch_.add(passing, segment_size)) return;
  flush_answers(session);
  batch_.direct(route_to_client(session));
  (void)batch_.add(passing, segment_size);
}

void UdpForwarder::flush_answers(UdpSession& session) {
  if (batch_.empty()) return;
  UdpListener& listener = listeners_.at(session.key.listener);
  const host::BatchResult result = batch_.flush(listener.socket);
  session.bytes.to_client += result.bytes;
  count_one(session.rule->counters->datagrams_dropped, result.dropped);
  // The client had sent to a network's broadcast address, which only the routing table tells from
  // an ordinary one.
  if (result.error() == EINVAL) session.local.reset();
}

[[gnu::cold]] void UdpForwarder::read_errors(SlabHandle handle) {
  std::array<std::uint8_t, 8> quote{};
  for (int i = 0; i < kErrorsPerTurn; ++i) {
    UdpSession* const session = sessions_.find(handle);
    if (session == nullptr || session->phase != UdpPhase::kOpen) return;
    const auto report = session->socket.read_errors(quote);
    if (!report || !*report) return;
    if (!host::is_refusal(**report)) continue;
    on_target_error(handle, *session, (*report)->error);
    return;
  }
}

void UdpForwarder::on_stream_event(SlabHandle handle, std::uint32_t events) {
  UdpSession* const session = sessions_.find(handle);
  if (session == nullptr || session->stream == nullptr) return;
  if (session->phase == UdpPhase::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    const host::ConnectReport report = host::connect_outcome(session->stream->socket());
    if (report.outcome == host::ConnectOutcome::kFailed) {
      retry_or_fail(handle, *session, report.error,
                    session->rule->targets.next(session->attempt, context_.now));
      return;
    }
    opened(*session);
    if (report.outcome == host::ConnectOutcome::kEstablishedThenReset) {
      session->stream->broke(report.error);
    }
  }
  if (session->phase != UdpPhase::kOpen) return;
  // A target that has reset takes nothing more, but what it said before is still the client's.
  if ((events & EPOLLOUT) != 0 && session->stream->error() == 0) {
    if (const auto flushed = session->stream->flush()) {
      session->bytes.to_target += *flushed;
    } else {
      session->stream->broke(flushed.error().error);
    }
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 ||
      session->stream->error() != 0) {
    read_stream(handle);
  }
}

[[gnu::noinline]] void UdpForwarder::read_stream(SlabHandle handle) {
  UdpSession* const session = sessions_.find(handle);
  if (session == nullptr || session->phase != UdpPhase::kOpen) return;
  UdpStream& stream = *session->stream;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const MutableBytes room = rows_.room();
    const auto got = stream.read(room);
    const bool ended = !got || got->status != sys::ReadStatus::kData;
    if (!got || (ended && stream.error() != 0)) {
      end(handle, SessionResult::kTargetReset, got ? stream.error() : got.error().error);
      return;
    }
    switch (got->status) {
      case sys::ReadStatus::kWouldBlock: return;
      case sys::ReadStatus::kEndOfStream:
        // A stream that ends inside a frame was cut.
        end(handle, SessionResult::kTargetClosed, stream.frames().inside_frame() ? EPROTO : 0);
        return;
      case sys::ReadStatus::kData: break;
    }
    note_answer(*session);
    const ByteView bytes = room.first(got->bytes);
    if (stream.framing() == Framing::kNone) {
      answer(*session, bytes, 0);
    } else {
      stream.frames().feed(bytes);
      ByteView frame;
      while (stream.frames().next(frame)) answer(*session, frame, 0);
    }
    flush_answers(*session);
    stream.frames().settle();
  }
  mark_pending(handle, *session);
}

}  // namespace sluice::forward
