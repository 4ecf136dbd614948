#include "flow/gate/http_watch.h"

namespace sluice::flow {

HttpWatch::Course HttpWatch::pass(ByteView bytes, std::size_t seen, const Asking& asking) {
  using Step = wire::HttpRequests::Step;
  Course course;
  while (course.passed < bytes.size()) {
    if (is_over()) {
      course.passed = bytes.size();
      break;
    }
    const auto next = requests_.next(bytes.subspan(course.passed), course.passed == 0 ? seen : 0);
    if (next.step == Step::kNeedMore) break;
    if (next.step == Step::kFault) {
      course.refusal = refusal_of_request(next.head.fault);
      break;
    }
    if (next.step == Step::kHead) {
      const Claim claim{.kind = Claim::Kind::kHttp, .name = next.head.host};
      const Judged judged = asking.judge.judge_claim(asking.key, asking.by, claim, asking.now);
      if (judged.verdict != policy::Verdict::kAccepted) {
        course.refusal = refusal_of(asking.key, claim, judged, asking.judge);
        break;
      }
      only_first_ = !judged.every_request;
      course.by = judged.by;
    }
    course.passed += next.size;
  }
  return course;
}

}  // namespace sluice::flow
