#include "netns/files/ssh_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::netns {
namespace {

namespace fs = std::filesystem;

class SshFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "files of root need root";
    std::string name = "/tmp/sluice-ssh-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
    fs::create_directory(folder / "ssh_config.d");
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const std::string& name, const std::string& text, mode_t mode = 0644) {
    std::ofstream(folder / name) << text;
    ::chmod((folder / name).c_str(), mode);
  }
  std::vector<std::string> found() {
    std::vector<std::string> names;
    for (const GuestFile& file : included_ssh_files(folder / "ssh_config")) {
      names.push_back(file.path.substr(folder.string().size() + 1) + "=" + file.text);
    }
    return names;
  }
  using Names = std::vector<std::string>;

  fs::path folder;
};

TEST_F(SshFiles, DebianAndFedora) {
  EXPECT_EQ(found(), Names{});
  write("ssh_config", "# Include nothing\n  Include ssh_config.d/*.conf\nHost *\n");
  write("ssh_config.d/a.conf", "a\n");
  write("back-end", "ciphers\n");
  write("ssh_config.d/b.conf", "Match final all\n  include=\"" + folder.string() + "/link\"\n");
  fs::create_symlink("back-end", folder / "link");
  write("ssh_config.d/c.txt", "no\n");
  const Names names = found();
  ASSERT_EQ(names.size(), 3U);
  EXPECT_EQ(names[0], "ssh_config.d/a.conf=a\n");
  EXPECT_EQ(names[2], "link=ciphers\n");
}

TEST_F(SshFiles, WhatSshWouldRefuseIsNotMadeTrusted) {
  write("ssh_config", "Include ssh_config.d/*.conf\n");
  write("ssh_config.d/others.conf", "x\n");
  ASSERT_EQ(::chown((folder / "ssh_config.d/others.conf").c_str(), 12'345, 0), 0);
  write("ssh_config.d/writable.conf", "x\n", 0664);
  EXPECT_EQ(found(), Names{});
}

TEST_F(SshFiles, ACircleEnds) {
  write("ssh_config", "Include ssh_config.d/*.conf\n");
  write("ssh_config.d/a.conf", "Include ssh_config.d/*.conf ssh_config\n");
  EXPECT_EQ(found().size(), 2U);
}

}  // namespace
}  // namespace sluice::netns
