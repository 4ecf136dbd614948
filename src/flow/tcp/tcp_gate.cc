// First bytes that are judged here, and the requests of HTTP that follow on them. The readers and
// the words are flow/gate's; who may reach whom is the judge's.
#include <utility>

#include "flow/gate/first_bytes.h"
#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {

// With all that the guest has sent, as often as there is more of it.
bool TcpFlows::judge_kept(TcpFlow& flow, Gated& state, Turn turn) {
  GateFinding finding = judge_first_bytes({flow.kept->all(), state.relaying.rx.guest_finished},
                                          {.key = flow.key, .judge = *claims_, .now = turn.now});
  switch (finding.kind) {
    case GateFinding::Kind::kNeedMore: return true;
    case GateFinding::Kind::kRefused: refuse(flow, std::move(finding.refusal), turn); return false;
    case GateFinding::Kind::kPass: break;
  }
  if (finding.watch) {
    flow.watched = std::make_unique<Watched>(*finding.watch);
    // What the server has said answers no request.
    if (flow.bytes_to_guest > 0) (void)flow.watched->hear({});
  }
  if (finding.by) admission_.rename(flow.by, *finding.by);
  discard_acked(flow, state.relaying.tx, turn.out);
  request_data(flow, state.relaying.tx, turn);
  flow.kept->let_through();
  write_kept(flow, state, turn);
  return false;
}

TcpFlows::Sifted TcpFlows::sift(TcpFlow& flow, Relaying& state, Turn turn) {
  Receiver& rx = state.rx;
  Watched& watched = *flow.watched;
  // What the host was given is answered for first.
  if (watched.written != 0) return Sifted::kNothing;
  const std::uint32_t fresh = rx.has_chain() ? rx.chained() : 0;
  const std::uint64_t offset = rx.stream_offset - fresh - watched.held();
  Watched::Sifted sifted =
      watched.sift(std::exchange(rx.range_first, kNoRange),
                   {.key = flow.key, .judge = *watching_, .now = turn.now}, turn.out, parting_);
  if (!sifted.refusal && watched.held() > 0 && rx.guest_finished) {
    sifted.refusal = Refusal{.verdict = policy::Verdict::kNotHttp};
  }
  if (watched.held() == 0) {
    release_kept(flow);
  } else if (watched.until == kNever && !sifted.refusal) {
    if (keeping_ >= KeptBytes::kFlowsMax) {
      sifted.refusal = Refusal{.verdict = policy::Verdict::kFirstBytesFull};
    } else {
      ++keeping_;
      watched.until = turn.now + admission_.ask().first_bytes_within;
      arm(flow, watched.until);
    }
  }
  if (sifted.refusal) {
    // Without a word: an answer of ours could stand in the middle of one of the host's.
    refuse(flow, {.verdict = sifted.refusal->verdict, .by = sifted.refusal->by}, turn);
    return Sifted::kFlowIsGone;
  }
  if (sifted.bytes == 0) {
    if (watched.is_over()) flow.watched.reset();
    return Sifted::kNothing;
  }
  // None of what is new is acknowledged before the host has taken what may go.
  rx.write_size = fresh;
  watched.written = sifted.bytes;
  turn.out.push(WriteTcp{flow.id, offset, offset + sifted.bytes, sifted.first_range});
  return Sifted::kWriting;
}

}  // namespace sluice::flow
