#include "dns/svcb_params.h"

#include <gtest/gtest.h>

namespace sluice::dns {
namespace {

class KeepAll final : public AnswerRules {
 public:
  bool follows(const wire::DomainName&) override { return true; }
  bool keeps(const wire::IpAddress&, std::uint32_t) override { return true; }
};

// RFC 9460, appendix D.2, figure 4: a target with a port. More is in answer_filter_test.cc.
TEST(SvcbParams, AVectorOfTheStandardStaysAsItIs) {
  const std::vector<std::uint8_t> rdata{0,   16,  3,   'f', 'o', 'o', 7,   'e', 'x',
                                        'a', 'm', 'p', 'l', 'e', 3,   'c', 'o', 'm',
                                        0,   0,   3,   0,   2,   0,   53};
  KeepAll rules;
  const auto data = read_svcb(rdata, rules, 60);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->target.to_text(), "foo.example.com");
  EXPECT_FALSE(data->changed);
  EXPECT_EQ(data->rdata, rdata);
}

TEST(SvcbParams, EveryTruncationIsMalformedOrShorter) {
  const std::vector<std::uint8_t> rdata{0, 1, 0, 0, 5, 0, 3, 1, 2, 3};
  KeepAll rules;
  for (std::size_t size = 0; size < rdata.size(); ++size) {
    const auto data = read_svcb(ByteView(rdata).first(size), rules, 60);
    EXPECT_EQ(data.has_value(), size == 3) << size;
  }
  EXPECT_TRUE(read_svcb(rdata, rules, 60)->changed);
}

}  // namespace
}  // namespace sluice::dns
