// The gate's work on a connection's first bytes: a hello of TLS, in one segment or in several, and
// a request of HTTP.
#include <algorithm>
#include <string>

#include "flow/gate/first_bytes.h"
#include "micro/harness.h"
#include "unit/wire/first_bytes/client_hellos.h"

namespace sluice::bench {
namespace {

using wire::test::Bytes;

class AcceptsAll final : public flow::ClaimJudge {
 public:
  flow::Judged judge_claim(const flow::FlowKey& /*key*/, const flow::NamedBy& /*by*/,
                           const flow::Claim& claim, Instant /*now*/) override {
    named_ += claim.name.has_value() ? 1U : 0U;
    return {};
  }
  flow::RefusalWords words_of(const flow::FlowKey& /*key*/,
                              const flow::Judged& /*judged*/) override {
    return {};
  }
  [[nodiscard]] std::uint64_t named() const { return named_; }

 private:
  std::uint64_t named_ = 0;
};

// First bytes that come in so many segments, each of which is looked at with those before it.
class FirstBytes {
 public:
  FirstBytes(const Bytes& bytes, std::size_t segments) : bytes_(bytes), segments_(segments) {}
  void operator()() {
    for (std::size_t i = 1; i <= segments_; ++i) {
      const ByteView part = ByteView(bytes_).first(bytes_.size() * i / segments_);
      passed_ +=
          flow::judge_first_bytes({part, false}, {.key = key_, .judge = judge_, .now = {}}).kind ==
                  flow::GateFinding::Kind::kPass
              ? 1U
              : 0U;
    }
    ++done_;
  }
  void check() const {
    require(passed_ == done_, "first bytes are let through once they are whole");
    require(judge_.named() == done_, "they are judged once, by their name");
  }

 private:
  Bytes bytes_;
  std::size_t segments_;
  flow::FlowKey key_;
  AcceptsAll judge_;
  std::uint64_t passed_ = 0;
  std::uint64_t done_ = 0;
};

Bytes hello() {
  return {std::begin(wire::test::kOpensslHello), std::end(wire::test::kOpensslHello)};
}
Bytes request() {
  const std::string text =
      "GET /index.html HTTP/1.1\r\nHost: ok.test\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
  return {text.begin(), text.end()};
}

const Registrar registrar([] {
  add<FirstBytes>("first_bytes/hello", hello(), std::size_t{1});
  add<FirstBytes>("first_bytes/hello_ml_kem", wire::test::hello_to("ok.test"), std::size_t{1});
  add<FirstBytes>("first_bytes/hello_in_segments", wire::test::hello_to("ok.test"), std::size_t{4});
  add<FirstBytes>("first_bytes/request", request(), std::size_t{1});
});

}  // namespace
}  // namespace sluice::bench
