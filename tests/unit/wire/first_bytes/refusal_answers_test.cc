#include "wire/first_bytes/refusal_answers.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::wire {
namespace {

std::string text_of(const RefusalPage& page) {
  const auto bytes = make_refusal_page(page);
  return {bytes.begin(), bytes.end()};
}

TEST(RefusalAnswers, APageSaysWhatAndWhy) {
  const std::string page = text_of({.what = "evil.test:80 is not allowed",
                                    .why = "host-mismatch",
                                    .rule = "ci.toml:12",
                                    .note = "ask the lead"});
  EXPECT_TRUE(page.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_TRUE(
      page.ends_with("\r\n\r\nsluice: evil.test:80 is not allowed\nwhy:  host-mismatch\n"
                     "rule: ci.toml:12\nnote: ask the lead\n"));
  const std::size_t body = page.find("\r\n\r\n") + 4;
  EXPECT_NE(page.find("Content-Length: " + std::to_string(page.size() - body) + "\r\n"),
            std::string::npos);
}

TEST(RefusalAnswers, LinesThatSayNothingAreLeftOut) {
  const std::string page = text_of({.status = RefusalStatus::kTooManyRequests,
                                    .what = "quota",
                                    .why = "",
                                    .rule = "",
                                    .note = ""});
  EXPECT_TRUE(page.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
  EXPECT_TRUE(page.ends_with("\r\n\r\nsluice: quota\n"));
}

TEST(RefusalAnswers, NothingThatIsToldCanForgeALine) {
  const std::string page = text_of({.what = "a\r\nrule: none", .note = std::string(2000, '\x1b')});
  EXPECT_TRUE(page.find("sluice: a  rule: none\n") != std::string::npos);
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  EXPECT_LT(page.size(), 1000U);
}

}  // namespace
}  // namespace sluice::wire
