#include "flow/engine/inside_answers.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::flow {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(InsideAnswers, BytesOfNamesAreEscaped) {
  RefusalBookOf<dns::NoLock> book;
  (void)book.note({.what = "a\"\n\x1b[31m\xff", .verdict = policy::Verdict::kNameDenied}, 1);
  const policy::EgressPolicy policy;
  const auto answer = [&](std::string_view path) {
    const auto bytes = answer_inside(
        bytes_of("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"), book, policy);
    return std::string(bytes.begin(), bytes.end());
  };
  EXPECT_NE(answer("/denials").find(R"("what":"a\"\u000a\u001b[31m\u00ff")"), std::string::npos)
      << answer("/denials");
  EXPECT_EQ(answer("/why/1").find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace sluice::flow
