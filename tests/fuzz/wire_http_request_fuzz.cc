// What a client sends on a connection of HTTP/1: in one piece, and in pieces that the input
// chooses.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "require.h"
#include "wire/first_bytes/http_requests.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

using Step = HttpRequests::Step;

struct Course {
  std::vector<std::size_t> heads;  // Where each of them ends.
  std::size_t passed = 0;
  HttpFault fault = HttpFault::kNone;
};

// Gives pieces of `each` bytes, and keeps what needs more.
Course run(ByteView stream, std::size_t each) {
  Course course;
  HttpRequests requests;
  std::size_t seen = 0;
  for (std::size_t until = std::min(each, stream.size());;
       until = std::min(until + each, stream.size())) {
    while (course.passed < until) {
      const ByteView bytes = stream.subspan(course.passed, until - course.passed);
      const auto next = requests.next(bytes, seen);
      if (next.step == Step::kFault) {
        require(next.head.fault != HttpFault::kNone, "a fault has a name");
        course.fault = next.head.fault;
        return course;
      }
      if (next.step == Step::kNeedMore) {
        require(requests.listens() || bytes.size() < kHttpHeadSizeMax, "what is held is bounded");
        break;
      }
      require(next.size > 0 && next.size <= bytes.size(), "a step lies within its bytes");
      course.passed += next.size;
      if (next.step == Step::kHead) course.heads.push_back(course.passed);
      seen = 0;
    }
    seen = until - course.passed;
    if (until == stream.size()) return course;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t each = std::size_t{data[0]} + 1;
  const ByteView stream(data + 1, size - 1);
  (void)http_likeness(stream);
  const Course whole = run(stream, std::max<std::size_t>(1, stream.size()));
  const Course cut = run(stream, each);
  require(whole.heads == cut.heads, "segments do not change where requests are");
  require((whole.fault == HttpFault::kNone) == (cut.fault == HttpFault::kNone),
          "nor whether they are sound");
  return 0;
}
