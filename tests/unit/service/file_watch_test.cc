#include "service/file_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "unit/forward/sockets.h"
#include "unit/sys/loopback.h"

namespace sluice::service {
namespace {

using namespace std::chrono_literals;

void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

class FileWatchTest : public ::testing::Test {
 protected:
  // Takes the events that are there, and answers as after a time of quiet.
  static bool told(FileWatch& watch) {
    const Instant now{100s};
    if (!sys::wait_for(watch.fd(), POLLIN, 200)) return false;
    watch.on_readable(now);
    EXPECT_EQ(watch.check_at(), now + FileWatch::kQuiet);
    EXPECT_FALSE(watch.changed(now)) << "too early";
    return watch.changed(now + FileWatch::kQuiet);
  }

  forward::TestFolder folder_;
  std::string path_ = folder_ / "rules.conf";
};

TEST_F(FileWatchTest, WriteInPlaceAndAtomicRename) {
  put(path_, "one");
  auto watch = FileWatch::open(path_).value();
  EXPECT_EQ(watch.check_at(), kNever);
  put(path_, "two");
  EXPECT_TRUE(told(watch));
  EXPECT_EQ(watch.check_at(), kNever);
  for (const std::string text : {"three", "four"}) {
    put(folder_ / "new", text);
    std::filesystem::rename(folder_ / "new", path_);
    EXPECT_TRUE(told(watch)) << text;
  }
}

TEST_F(FileWatchTest, SameContentIsNoChange) {
  put(path_, "one");
  auto watch = FileWatch::open(path_).value();
  put(path_, "one");
  EXPECT_FALSE(told(watch));
  put(folder_ / "unrelated", "x");
  EXPECT_FALSE(told(watch));
  put(path_, "two");
  watch.accept_content();
  EXPECT_FALSE(told(watch)) << "it was read meanwhile";
}

TEST_F(FileWatchTest, AFileThatComesBackAfterRemoval) {
  put(path_, "one");
  auto watch = FileWatch::open(path_).value();
  std::filesystem::remove(path_);
  put(folder_ / "other", "x");
  EXPECT_FALSE(told(watch)) << "gone is no new content";
  put(path_, "two");
  EXPECT_TRUE(told(watch));
}

// As a mounted configuration of a container is exchanged: by a link to a folder.
TEST_F(FileWatchTest, ALinkOnTheWayIsExchanged) {
  for (const std::string version : {"v1", "v2"}) {
    std::filesystem::create_directory(folder_ / version);
    put(folder_ / version + "/rules.conf", version);
  }
  std::filesystem::create_directory_symlink("v1", folder_ / "data");
  std::filesystem::create_symlink("data/rules.conf", path_);
  auto watch = FileWatch::open(path_).value();
  std::filesystem::create_directory_symlink("v2", folder_ / "data.new");
  std::filesystem::rename(folder_ / "data.new", folder_ / "data");
  EXPECT_TRUE(told(watch));
  put(folder_ / "v2/rules.conf", "v3");
  EXPECT_TRUE(told(watch)) << "where the link leads is watched too";
}

// As releases are exchanged: the link is a parent folder of the path.
TEST_F(FileWatchTest, ALinkAmongTheParentFoldersIsExchanged) {
  for (const std::string version : {"v1", "v2", "v3"}) {
    std::filesystem::create_directories(folder_ / version + "/conf");
    put(folder_ / version + "/conf/rules.conf", version);
  }
  std::filesystem::create_directory_symlink("v1", folder_ / "current");
  auto watch = FileWatch::open(folder_ / "current/conf/rules.conf").value();
  for (const std::string version : {"v2", "v3"}) {
    std::filesystem::create_directory_symlink(version, folder_ / "current.new");
    std::filesystem::rename(folder_ / "current.new", folder_ / "current");
    EXPECT_TRUE(told(watch)) << version;
    // The watches followed.
    put(folder_ / version + "/conf/rules.conf", version + " in place");
    EXPECT_TRUE(told(watch)) << version;
    EXPECT_FALSE(sys::wait_for(watch.fd(), POLLIN, 0) && told(watch)) << "it says so once";
  }
  put(folder_ / "v1/conf/rules.conf", "where nobody looks");
  EXPECT_FALSE(sys::wait_for(watch.fd(), POLLIN, 100)) << "the old folders are watched still";
}

TEST_F(FileWatchTest, AParentFolderIsExchanged) {
  for (const std::string version : {"live", "fresh"}) {
    std::filesystem::create_directories(folder_ / version + "/conf");
    put(folder_ / version + "/conf/rules.conf", version);
  }
  auto watch = FileWatch::open(folder_ / "live/conf/rules.conf").value();
  std::filesystem::rename(folder_ / "live", folder_ / "old");
  EXPECT_FALSE(told(watch)) << "gone is no new content";
  std::filesystem::rename(folder_ / "fresh", folder_ / "live");
  EXPECT_TRUE(told(watch));
  put(folder_ / "live/conf/rules.conf", "in place");
  EXPECT_TRUE(told(watch));
}

TEST_F(FileWatchTest, ManyEventsAreToldOnceAndInTime) {
  put(path_, "one");
  auto watch = FileWatch::open(path_).value();
  const Instant start{50s};
  Instant now = start;
  for (int i = 0; i < 40; ++i, now += 50ms) {
    put(path_, std::to_string(i));
    watch.on_readable(now);
    EXPECT_LE(watch.check_at(), start + FileWatch::kPatience);
  }
  EXPECT_TRUE(watch.changed(now));
  EXPECT_FALSE(watch.changed(now));
}

TEST_F(FileWatchTest, AFolderThatIsNotThereIsAwaited) {
  auto watch = FileWatch::open(folder_ / "no/such/rules.conf").value();
  std::filesystem::create_directories(folder_ / "no/such");
  put(folder_ / "no/such/rules.conf", "one");
  EXPECT_TRUE(told(watch));
  put(folder_ / "no/such/rules.conf", "two");
  EXPECT_TRUE(told(watch));
}

}  // namespace
}  // namespace sluice::service
