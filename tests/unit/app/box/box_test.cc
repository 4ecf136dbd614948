#include "app/box/box.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::app {
namespace {

// What is wrong with the plan of these options, started in /usr.
std::string mistake(const BoxOptions& options) {
  const auto plan = box_plan(options, "/usr");
  return plan ? "none" : plan.error();
}

TEST(Box, PathsAreFromWhereItWasStarted) {
  BoxOptions options;
  options.box.kernel = "vmlinuz";
  options.box.shares = {{.path = "lib/.", .target = "lib/."},
                        {.path = "/tmp", .target = "/there/", .writable = true}};
  const auto plan = box_plan(options, "/usr");
  ASSERT_TRUE(plan.has_value()) << plan.error();
  EXPECT_EQ(plan->kernel, "/usr/vmlinuz");
  EXPECT_EQ(plan->root, "/");
  EXPECT_EQ(plan->workdir, "/usr");
  EXPECT_EQ(plan->shares[0].path, "/usr/lib");
  EXPECT_EQ(plan->shares[0].target, "/usr/lib");
  EXPECT_EQ(plan->shares[1].target, "/there");
  EXPECT_TRUE(plan->shares[1].writable);
}

TEST(Box, AMachineHasProcessorsAndMemoryInAnyCase) {
  BoxOptions options;
  const auto plan = box_plan(options, "/");
  ASSERT_TRUE(plan.has_value());
  EXPECT_GE(plan->cpus, 1U);
  EXPECT_LE(plan->cpus, kBoxCpusDefault);
  EXPECT_GE(plan->memory, kBoxMemoryMin);
  options.cpus = 7;
  options.memory = std::uint64_t{3} << 30U;
  const auto asked = box_plan(options, "/");
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->cpus, 7U);
  EXPECT_EQ(asked->memory, std::uint64_t{3} << 30U);
}

TEST(Box, WithAnotherRootItStartsThere) {
  BoxOptions options;
  options.box.root = "lib";
  EXPECT_EQ(box_plan(options, "/usr")->root, "/usr/lib");
  EXPECT_EQ(box_plan(options, "/usr")->workdir, "/");
  EXPECT_FALSE(box_plan(options, "/usr")->workdir_required);
  options.box.workdir = "/src";
  EXPECT_EQ(box_plan(options, "/usr")->workdir, "/src");
  EXPECT_TRUE(box_plan(options, "/usr")->workdir_required);
}

TEST(Box, WhatIsSharedMustBeThere) {
  BoxOptions options;
  options.box.root = "/nowhere";
  EXPECT_EQ(mistake(options), "--root: '/nowhere': No such file or directory");
  options.box.root = "/";
  options.box.shares = {{.path = "/etc/passwd", .target = "/etc/passwd"}};
  EXPECT_EQ(mistake(options), "--share: '/etc/passwd' is no folder");
  options.box.shares = {{.path = "/", .target = "/"}};
  EXPECT_TRUE(mistake(options).starts_with("--share: '/' cannot be the machine's root"));
}

}  // namespace
}  // namespace sluice::app
