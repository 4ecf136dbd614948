#include "flow/engine/dns_streams.h"

#include <algorithm>
#include <utility>

#include "dns/dns_reply.h"

namespace sluice::flow {
namespace {

// How often the connections are looked through for those that stand still.
constexpr Duration kCheckEvery = std::chrono::seconds{2};

}  // namespace

const DnsStreams::Stream* DnsStreams::find(TcpId id) const {
  const auto at = streams_.find(id.index);
  return at != streams_.end() && at->second.id == id ? &at->second : nullptr;
}

DnsStreams::Stream* DnsStreams::find(TcpId id) {
  return const_cast<Stream*>(std::as_const(*this).find(id));
}

void DnsStreams::erase(TcpId id) {
  const Stream* stream = find(id);
  if (stream == nullptr) return;
  output_held_ -= stream->bytes.output().size();
  streams_.erase(id.index);
}

void DnsStreams::list(Stream& stream) {
  if (std::exchange(stream.listed, true)) return;
  ready_.push_back(stream.id);
}

void DnsStreams::reset(TcpId id, Turn turn) { flows_.on_host_error(id, HostError::kReset, turn); }

void DnsStreams::connect(TcpId id, Turn turn) {
  if (streams_.size() >= kStreamsMax) {
    flows_.on_connect_failed(id, HostError::kRefused, turn);
    return;
  }
  if (streams_.empty()) next_check_ = turn.now + kCheckEvery;
  streams_.insert_or_assign(id.index, Stream{.id = id, .bytes = {}, .active = turn.now});
  flows_.on_connected(id, dns::DnsStream::kInputMax, turn);
}

void DnsStreams::write(const WriteTcp& action, Turn turn) {
  Stream* stream = find(action.flow);
  if (stream == nullptr) return;
  // Ranges ahead of a gap are not kept here: the guest sends what was not taken again.
  std::size_t taken = 0;
  for (std::uint32_t at = action.first_range; at != kNoRange; at = turn.out.range(at).next) {
    const ByteView range = turn.out.range(at).bytes;
    const std::size_t part = stream->bytes.receive(range);
    taken += part;
    if (part < range.size()) break;
  }
  list(*stream);
  const bool after_end = stream->ended && taken > 0;
  flows_.on_written(action.flow, {taken, 0, static_cast<std::uint32_t>(stream->bytes.input_room())},
                    turn);
  // As a kernel whose socket is closed.
  if (after_end) reset(action.flow, turn);
}

void DnsStreams::peek(const PeekTcp& action, Turn turn) {
  const Stream* stream = find(action.flow);
  if (stream == nullptr) return;
  const ByteView output = stream->bytes.output();
  if (action.offset < output.size()) {
    const ByteView rest = output.subspan(action.offset);
    const ByteView part = rest.first(std::min<std::size_t>(rest.size(), action.max));
    flows_.on_peeked(action.flow,
                     {action.sequence, PeekStatus::kData, part, part.size() < rest.size()}, turn);
    return;
  }
  const bool over = stream->ended || stream->bytes.is_done();
  flows_.on_peeked(
      action.flow,
      {action.sequence, over ? PeekStatus::kEndOfStream : PeekStatus::kWouldBlock, {}, false},
      turn);
}

void DnsStreams::discard(const DiscardTcp& action, Instant now) {
  Stream* stream = find(action.flow);
  if (stream == nullptr) return;
  stream->active = now;
  const std::size_t before = stream->bytes.output().size();
  stream->bytes.discard(action.bytes);
  output_held_ -= before - stream->bytes.output().size();
  list(*stream);
}

void DnsStreams::shutdown(TcpId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->bytes.finish_input();
  list(*stream);
}

void DnsStreams::ask_next(TcpId id, const Ask& ask, Turn turn) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->listed = false;
  bool asked = false;
  while (const auto question = stream->ended ? std::nullopt : stream->bytes.next_question()) {
    asked = true;
    stream->active = turn.now;
    const dns::DnsQueryOutcome outcome =
        ask({.endpoint = {}, .asked = {}, .stream = dns::DnsStreamId{id}}, *question);
    if (outcome == dns::DnsQueryOutcome::kRepeated) stream->bytes.forget_question();
    if (outcome == dns::DnsQueryOutcome::kMalformed) return reset(id, turn);
  }
  if (stream->bytes.is_garbage()) return reset(id, turn);
  if (asked) {
    flows_.on_room(id, 0, static_cast<std::uint32_t>(stream->bytes.input_room()), turn);
  }
  if (stream->bytes.is_done()) flows_.on_readable(id, true, turn);
}

void DnsStreams::answer(TcpId id, ByteView message, Turn turn) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->ended) return;
  std::vector<std::uint8_t> failure;
  if (output_held_ + message.size() > kOutputMax) {
    const auto view = wire::DnsView::parse(message);
    const std::size_t head = wire::kDnsHeaderSize + (view ? view->question_bytes().size() : 0);
    failure = dns::bare_dns_reply(message.first(head), wire::DnsRcode::kServFail);
    message = failure;
  }
  output_held_ += message.size() + 2;
  stream->bytes.answer(message);
  stream->active = turn.now;
  list(*stream);
  flows_.on_readable(id, false, turn);
}

void DnsStreams::on_timer(Turn turn) {
  next_check_ = turn.now + kCheckEvery;
  std::vector<TcpId> broken;
  for (auto& [index, stream] : streams_) {
    // The relay itself ends every question within its own time.
    if (stream.bytes.unanswered() > 0) continue;
    const Duration still = turn.now - stream.active;
    if (stream.ended ? still >= kIdleMax + kCloseMax : still >= kIdleMax) {
      if (stream.ended || !stream.bytes.output().empty()) {
        broken.push_back(stream.id);
      } else {
        stream.ended = true;
        flows_.on_readable(stream.id, true, turn);
      }
    }
  }
  for (const TcpId id : broken) reset(id, turn);
}

}  // namespace sluice::flow
