// Whatever is claimed, settled and passed in whatever order: a quota is never exceeded, what is
// claimed is what is held, and a rate gives no more than its burst and its time.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "policy/limits/meter.h"

namespace sluice::policy {
namespace {

struct Claim {
  Lane* lane;
  std::size_t bytes;
};

RC_GTEST_PROP(MeterProperty, NothingIsExceededAndNothingIsLost, ()) {
  const auto quota = *rc::gen::inRange<std::uint64_t>(1, 20'000);
  const auto outer_quota = *rc::gen::inRange<std::uint64_t>(1, 30'000);
  const auto rate = *rc::gen::element<std::uint64_t>(0, 1000, 100'000);
  MeterUse run_use("");
  MeterUse use_a("a");
  MeterUse use_b("b");
  Meter run(run_use, {.to_host = {.bytes = outer_quota}}, nullptr);
  Meter a(use_a, {.to_host = {.bytes = quota, .rate = rate}}, &run);
  Meter b(use_b, {.to_host = {.bytes = quota}}, &run);
  std::vector<Claim> open;
  Instant now{std::chrono::seconds(5)};
  std::uint64_t passed_a = 0;
  std::uint64_t passed_b = 0;
  std::uint64_t held = 0;
  const Instant begin = now;
  const auto steps = *rc::gen::inRange(1, 60);
  for (int i = 0; i < steps; ++i) {
    Meter& meter = *rc::gen::arbitrary<bool>() ? a : b;
    std::uint64_t& passed = &meter == &a ? passed_a : passed_b;
    const auto bytes = *rc::gen::inRange<std::size_t>(0, 3000);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        open.push_back({&meter.to_host(), meter.to_host().claim(bytes, now)});
        held += open.back().bytes;
        break;
      case 1:
        if (open.empty()) break;
        {
          const auto used = std::min<std::size_t>(bytes, open.back().bytes);
          open.back().lane->settle(open.back().bytes, used, now);
          (open.back().lane == &a.to_host() ? passed_a : passed_b) += used;
          held -= open.back().bytes;
          open.pop_back();
        }
        break;
      case 2:
        if (meter.to_host().pass(bytes, now) == Lane::Pass::kPasses) passed += bytes;
        break;
      default: now += std::chrono::milliseconds(bytes); break;
    }
    RC_ASSERT(use_a.to_host.used == passed_a);
    RC_ASSERT(use_b.to_host.used == passed_b);
    RC_ASSERT(run_use.to_host.used == passed_a + passed_b);
    RC_ASSERT(run_use.to_host.claimed == passed_a + passed_b + held);
    RC_ASSERT(use_a.to_host.claimed + use_b.to_host.claimed == run_use.to_host.claimed);
    RC_ASSERT(use_a.to_host.claimed <= quota);
    RC_ASSERT(use_b.to_host.claimed <= quota);
    RC_ASSERT(run_use.to_host.claimed <= outer_quota);
    if (rate != 0) {
      const auto time = static_cast<std::uint64_t>((now - begin).count());
      const std::uint64_t given =
          std::max<std::uint64_t>(4096, rate / 20) + rate * time / 1'000'000'000;
      // The last to come may make a debt: of what was claimed meanwhile, and of one that is whole.
      RC_ASSERT(passed_a <= given + held + 3000 * (open.size() + 1) + 3000);
    }
  }
}

}  // namespace
}  // namespace sluice::policy
