#include "sys/waypoints.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace sluice::sys {
namespace {

namespace fs = std::filesystem;

class Waypoints : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/sluice-way-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }

  // Within the folder, "*" behind those that decide; what leads to it is passed through.
  std::string way(const std::string& path) const {
    std::string text;
    for (const Waypoint& point : waypoints(folder / path)) {
      if (!point.directory.starts_with(folder.string())) {
        EXPECT_FALSE(point.decides) << point.directory;
        continue;
      }
      if (!text.empty()) text += ' ';
      const std::string within = point.directory.substr(folder.string().size());
      text += (within.empty() ? "/" : within) + (point.decides ? "*" : "");
    }
    return text;
  }

  fs::path folder;
};

TEST_F(Waypoints, OfAFileWithoutLinks) {
  fs::create_directories(folder / "etc" / "app");
  std::ofstream(folder / "etc" / "app" / "rules") << "x";
  EXPECT_EQ(way("etc/app/rules"), "/ /etc /etc/app*");
  EXPECT_EQ(way("etc//./app/rules"), "/ /etc /etc/app*");
}

TEST_F(Waypoints, EveryLinkCounts) {
  fs::create_directories(folder / "releases" / "7" / "conf");
  std::ofstream(folder / "releases" / "7" / "conf" / "real") << "x";
  fs::create_symlink("real", folder / "releases" / "7" / "conf" / "rules");
  fs::create_symlink("releases/7", folder / "current");
  EXPECT_EQ(way("current/conf/rules"), "/* /releases /releases/7 /releases/7/conf*");
  fs::create_symlink(folder / "current", folder / "releases" / "whole");
  EXPECT_EQ(way("releases/whole/conf/rules"), "/* /releases* /releases/7 /releases/7/conf*");
}

TEST_F(Waypoints, WhatIsNotThereIsAwaitedWhereItWouldCome) {
  fs::create_directories(folder / "etc");
  EXPECT_EQ(way("etc/app/conf/rules"), "/ /etc*");
  fs::create_symlink("../run/rules", folder / "etc" / "rules");
  EXPECT_EQ(way("etc/rules"), "/ /etc* /etc/..*");
}

TEST_F(Waypoints, ARelativePathBeginsHere) {
  const auto found = waypoints("no-such-folder/rules");
  EXPECT_EQ(found, (std::vector<Waypoint>{{.directory = ".", .decides = true}}));
}

TEST_F(Waypoints, LinksInACircleEnd) {
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  EXPECT_EQ(way("a"), "/*");
}

}  // namespace
}  // namespace sluice::sys
