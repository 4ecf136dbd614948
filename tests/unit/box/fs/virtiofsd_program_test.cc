#include "box/fs/virtiofsd_program.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

namespace sluice::box {
namespace {

class VirtiofsdProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/virtiofsd-XXXXXX";
    ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
    path_ = directory_ + "/virtiofsd";
  }
  void TearDown() override {
    ::remove(path_.c_str());
    ::remove(directory_.c_str());
  }
  void make(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    ASSERT_EQ(::chmod(path_.c_str(), 0755), 0);
  }
  static bool has(const std::vector<std::string>& words, const std::string& word) {
    return std::ranges::count(words, word) > 0;
  }

  std::string directory_;
  std::string path_;
};

TEST_F(VirtiofsdProgramTest, IsFoundInTheSearchPath) {
  make("#!/bin/sh\n");
  for (const std::string& search :
       {directory_, "/nowhere:" + directory_, ":relative:" + directory_ + ":/usr/bin"}) {
    const auto found = find_virtiofsd(search);
    ASSERT_TRUE(found.has_value()) << search;
    EXPECT_EQ(found->path, path_);
  }
}

TEST_F(VirtiofsdProgramTest, WhatCannotBeExecutedIsPassedOver) {
  make("");
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  const auto found = find_virtiofsd(directory_);
  if (found) {
    EXPECT_NE(found->path, path_);
  } else {
    EXPECT_NE(found.error().describe().find("apt install virtiofsd"), std::string::npos);
    EXPECT_NE(found.error().describe().find("qemu-system-common"), std::string::npos);
  }
}

TEST_F(VirtiofsdProgramTest, KindsAreToldApartByTheirOptions) {
  make("ELF ... source=%s ... ");
  EXPECT_EQ(virtiofsd_at(path_).kind, VirtiofsdKind::kC);
  make(std::string("\0\1 tagshared-dirsocket", 22));
  EXPECT_EQ(virtiofsd_at(path_).kind, VirtiofsdKind::kRust);
  EXPECT_FALSE(virtiofsd_at(path_).announces_mounts);
  make("shared-dirsandboxno-announce-submounts");
  EXPECT_TRUE(virtiofsd_at(path_).announces_mounts);
  EXPECT_EQ(virtiofsd_at("/nowhere").kind, VirtiofsdKind::kC);
}

TEST_F(VirtiofsdProgramTest, EachHasItsCommandLine) {
  VirtiofsdProgram program{.path = "/x"};
  const auto c = virtiofsd_command(program, 3, "/mnt", VirtiofsdUser::kOther);
  EXPECT_EQ(c.front(), "/x");
  EXPECT_TRUE(has(c, "--fd=3"));
  EXPECT_TRUE(has(c, "source=/mnt"));
  EXPECT_TRUE(has(c, "sandbox=chroot"));
  program.kind = VirtiofsdKind::kRust;
  const auto rust = virtiofsd_command(program, 3, "/mnt", VirtiofsdUser::kRoot);
  EXPECT_TRUE(has(rust, "--fd=3"));
  EXPECT_TRUE(has(rust, "--shared-dir=/mnt"));
  EXPECT_TRUE(has(rust, "--sandbox=chroot"));
  EXPECT_FALSE(has(rust, "--no-announce-submounts"));
  program.announces_mounts = true;
  const auto other = virtiofsd_command(program, 3, "/mnt", VirtiofsdUser::kOther);
  EXPECT_TRUE(has(other, "--sandbox=none"));
  EXPECT_TRUE(has(other, "--no-announce-submounts"));
}

}  // namespace
}  // namespace sluice::box
