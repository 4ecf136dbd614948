// First bytes that are judged here, and the requests of HTTP that follow on them. The readers and
// the words are flow/gate's; who may reach whom is the judge's.
#include <utility>

#include "flow/gate/first_bytes.h"
#include "flow/gate/noting_judge.h"
#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {
namespace {

// Its first bytes may have shown that another rule lets it through.
[[gnu::cold]] bool finds_room(TcpFlow& flow, Sender& tx, FlowAdmission& admission, Instant now) {
  if (tx.claimed != 0) settle_from_host(flow, tx, 0, now);
  return admission.enter_meter(flow.metered, admission.meters().of(flow.by.rule));
}

void tell(Sight* sight, const TcpFlow& flow, const NotingJudge& judge) {
  if (sight == nullptr || !sight->wanted || !judge.claim()) return;
  const Claim& claim = *judge.claim();
  sight->add(SeenClaim{.flow = flow_number(flow.key, flow.opened),
                       .key = flow.key,
                       .kind = to_string(claim.kind),
                       .name = claim.name,
                       .encrypted_hello = claim.encrypted_hello,
                       .verdict = judge.judged().verdict,
                       .by = judge.judged().by});
}

}  // namespace

// With all that the guest has sent, as often as there is more of it.
bool TcpFlows::judge_kept(TcpFlow& flow, Gated& state, Turn turn) {
  NotingJudge judge(*claims_);
  GateFinding finding =
      judge_first_bytes({flow.kept->all(), state.relaying.rx.guest_finished},
                        {.key = flow.key, .judge = judge, .now = turn.now, .by = flow.by});
  if (finding.kind != GateFinding::Kind::kNeedMore) tell(sight_, flow, judge);
  switch (finding.kind) {
    case GateFinding::Kind::kNeedMore: return true;
    case GateFinding::Kind::kRefused:
      if (audits_) {
        flow.by.would_refuse = finding.refusal.verdict;
        break;
      }
      refuse(flow, std::move(finding.refusal), turn);
      return false;
    case GateFinding::Kind::kPass: break;
  }
  if (finding.by) {
    NamedBy by = *finding.by;
    if (flow.by.would_refuse != policy::Verdict::kAccepted) {
      // It would not have come so far.
      by.would_refuse = flow.by.would_refuse;
      by.rule = flow.by.rule;
    }
    admission_.rename(flow.by, by);
  }
  if (admission_.meters().any()) [[unlikely]] {
    if (!finds_room(flow, state.relaying.tx, admission_, turn.now)) {
      const Judged judged{.verdict = policy::Verdict::kQuota, .by = flow.by};
      refuse(flow, refusal_of_limit(finding.watch.has_value(), claims_->words_of(flow.key, judged)),
             turn);
      return false;
    }
  }
  if (admission_.leads_any() && !flow.hostless &&
      !is_led_right(admission_, flow.by, flow.way.get())) [[unlikely]] {
    refuse(flow, {policy::Verdict::kViaFailed}, turn);
    return false;
  }
  if (finding.watch) {
    flow.watched = std::make_unique<Watched>(*finding.watch);
    // What the server has said answers no request.
    if (flow.bytes_to_guest > 0) (void)flow.watched->hear({});
  }
  flow.kept->let_through();
  if (flow.hostless) [[unlikely]] {
    // Then what is kept waits for the connection.
    flow.kept->until = kNever;
    if (!ask_host(flow, targets_.target_of(flow.key.remote).endpoint, admission_, turn.out)) {
      on_connect_failed(flow.id, HostError::kWayFailed, turn);
    }
    return false;
  }
  discard_acked(flow, state.relaying.tx, turn.out);
  request_data(flow, state.relaying.tx, turn);
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
  // Where names are led by different people, a connection is for one name.
  OneName one_name(*watching_, flow.by.name);
  ClaimJudge& rules = admission_.leads_any() ? one_name : *watching_;
  NotingJudge judge(rules);
  Watched::Sifted sifted = watched.sift(
      std::exchange(rx.range_first, kNoRange),
      {.key = flow.key, .judge = judge, .now = turn.now, .by = flow.by}, turn.out, parting_);
  if (sifted.refusal && judge.judged().verdict != policy::Verdict::kAccepted) {
    tell(sight_, flow, judge);
  }
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
  turn.out.push(
      WriteTcp{flow.id, offset, offset + sifted.bytes, sifted.first_range, lane_to_host(flow)});
  return Sifted::kWriting;
}

}  // namespace sluice::flow
