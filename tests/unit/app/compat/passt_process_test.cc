#include "app/compat/passt_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "unit/sys/loopback.h"

namespace sluice::app {
namespace {

std::string file_in(const std::string& folder, const char* name) { return folder + "/" + name; }

class PasstProcessFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "passt-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    pid_ = file_in(folder_, "pid");
  }
  void TearDown() override {
    ::unlink(pid_.c_str());
    ::rmdir(folder_.c_str());
  }
  std::string folder_;
  std::string pid_;
};

TEST_F(PasstProcessFiles, ThePidIsWrittenOnceAllIsUp) {
  PasstCommon common;
  common.foreground = true;
  common.pid_file = pid_;
  PasstProcess process("demo", common);
  ASSERT_TRUE(process.open_files().has_value());
  ASSERT_TRUE(process.go_to_background().has_value());
  pid_t written = 0;
  EXPECT_FALSE(std::ifstream(pid_) >> written) << "before all is up";
  process.settle();
  EXPECT_TRUE(std::ifstream(pid_) >> written);
  EXPECT_EQ(written, ::getpid());
}

TEST_F(PasstProcessFiles, WhatCannotBeOpenedIsNamed) {
  PasstCommon common;
  common.foreground = true;
  common.pid_file = file_in(folder_, "no/such/pid");
  const auto opened = PasstProcess("demo", common).open_files();
  ASSERT_FALSE(opened.has_value());
  EXPECT_TRUE(opened.error().text.starts_with("--pid: cannot write '")) << opened.error().text;
  common.pid_file.clear();
  common.log_file = file_in(folder_, "no/such/log");
  EXPECT_TRUE(PasstProcess("demo", common).open_files().error().text.starts_with("--log-file"));
}

TEST(PasstProcess, AUserThatIsNotThereIsNamed) {
  PasstCommon common;
  common.run_as = "no-such-user";
  const auto done = PasstProcess("demo", common).become_user();
  ASSERT_FALSE(done.has_value());
  EXPECT_TRUE(done.error().text.contains("no-such-user"));
}

TEST(PasstProcess, AnAliasStandsForAnAddressOfTheHosts) {
  PasstCommon common;
  common.host_alias_v4 = sys::ip("169.254.1.2");
  flow::GuestNetwork network;
  add_aliases(common, network);
  // Without a way out the host has no address that it would use, and a warning says so.
  ASSERT_LE(network.aliases.size(), 1U);
  for (const auto& [alias, target] : network.aliases) {
    EXPECT_EQ(alias, sys::ip("169.254.1.2"));
    EXPECT_FALSE(target.is_unspecified());
  }
}

}  // namespace
}  // namespace sluice::app
