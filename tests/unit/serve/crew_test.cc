// Workers as a plan has them, with links of the test's.
#include "serve/crew.h"

#include <gtest/gtest.h>

#include <array>
#include <csignal>

#include "unit/link/test_link.h"

namespace sluice::serve {
namespace {

class CrewTest : public ::testing::Test {
 protected:
  [[nodiscard]] static GuestEnds ends_of(std::size_t links) {
    GuestEnds ends;
    for (std::size_t i = 0; i < links; ++i) {
      ends.links.push_back(std::make_unique<link::TestLink>());
    }
    return ends;
  }
  [[nodiscard]] static Preparation prepared() {
    return {.signals = std::move(*sys::SignalFd::open(std::array{SIGUSR1})),
            .descriptor_limit = {},
            .network = {},
            .resolvers = resolv::ResolverConfig::of({}),
            .addresses = {},
            .published = {},
            .publish = {},
            .metrics = {},
            .slirp_api = nullptr,
            .slirp_api_file = {}};
  }
};

TEST_F(CrewTest, AWorkerForEachLinkThatTheGuestGives) {
  for (const std::size_t links : {1U, 3U}) {
    Preparation preparation = prepared();
    Outputs outputs = std::move(*Outputs::open({}));
    auto crew = Crew::hire({.workers = 8}, preparation, ends_of(links), outputs);
    ASSERT_TRUE(crew.has_value());
    EXPECT_EQ((*crew)->workers().size(), links);
    const telemetry::Snapshot counts = (*crew)->workers().snapshot();
    EXPECT_EQ(counts.flows, 0U);
    EXPECT_EQ(counts.report, nullptr);
    preparation.signals.saved().restore();
  }
}

}  // namespace
}  // namespace sluice::serve
