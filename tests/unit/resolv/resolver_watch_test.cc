#include "resolv/resolver_watch.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "resolv/resolver_config.h"
#include "unit/sys/loopback.h"

namespace sluice::resolv {
namespace {

namespace fs = std::filesystem;

class ResolverWatch : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/sluice-watch-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override {
    fs::remove_all(folder);
    while (::waitpid(-1, nullptr, 0) > 0) {  // The watchers, which have nobody to talk to.
    }
  }

  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  // As editors and network managers do.
  static void replace(const fs::path& path, const std::string& text) {
    const fs::path beside = path.string() + ".new";
    write(beside, text);
    fs::rename(beside, path);
  }
  // Waits for the text that a change must bring.
  static ::testing::AssertionResult tells(const UniqueFd& watch, const std::string& wanted) {
    std::string last = "nothing";
    while (sys::wait_for(watch.get(), POLLIN, 5000)) {
      last = newest_resolv_conf(watch.get()).value_or("the end");
      if (last == wanted) return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "the last text was: " << last;
  }

  fs::path folder;
};

TEST_F(ResolverWatch, ChangesOfEveryKindAreTold) {
  const fs::path file = folder / "resolv.conf";
  write(file, "first");
  const auto watch = watch_resolv_conf(file);
  ASSERT_TRUE(watch.has_value());
  EXPECT_TRUE(tells(*watch, "first"));
  write(file, "in place");
  EXPECT_TRUE(tells(*watch, "in place"));
  for (int i = 0; i < 3; ++i) {
    replace(file, "renamed " + std::to_string(i));
    EXPECT_TRUE(tells(*watch, "renamed " + std::to_string(i)));
  }
  fs::remove(file);
  EXPECT_TRUE(tells(*watch, ""));
  write(file, "back");
  EXPECT_TRUE(tells(*watch, "back"));
}

TEST_F(ResolverWatch, ALinkAmongTheParentDirectoriesIsExchanged) {
  for (const std::string version : {"v1", "v2"}) {
    fs::create_directories(folder / version / "etc");
    write(folder / version / "etc" / "resolv.conf", version);
  }
  fs::create_directory_symlink("v1", folder / "current");
  const auto watch = watch_resolv_conf(folder / "current" / "etc" / "resolv.conf");
  ASSERT_TRUE(watch.has_value());
  EXPECT_TRUE(tells(*watch, "v1"));
  fs::create_directory_symlink("v2", folder / "current.new");
  fs::rename(folder / "current.new", folder / "current");
  EXPECT_TRUE(tells(*watch, "v2"));
}

TEST_F(ResolverWatch, LinksAreFollowedAlsoWhereTheyLeadNowhereYet) {
  const fs::path file = folder / "etc" / "resolv.conf";
  fs::create_directory(folder / "etc");
  fs::create_symlink("../run/names/stub.conf", file);
  const auto watch = watch_resolv_conf(file);
  ASSERT_TRUE(watch.has_value());
  EXPECT_TRUE(tells(*watch, ""));
  fs::create_directories(folder / "run" / "names");
  write(folder / "run" / "names" / "stub.conf", "stub");
  EXPECT_TRUE(tells(*watch, "stub"));
  replace(folder / "run" / "names" / "stub.conf", "stub 2");
  EXPECT_TRUE(tells(*watch, "stub 2"));
  // The service behind the link starts anew.
  fs::remove_all(folder / "run" / "names");
  EXPECT_TRUE(tells(*watch, ""));
  fs::create_directories(folder / "run" / "names");
  write(folder / "run" / "names" / "stub.conf", "stub 3");
  EXPECT_TRUE(tells(*watch, "stub 3"));
  // Another manager takes over.
  replace(folder / "plain", "");
  write(folder / "etc" / "other.conf", "other");
  fs::create_symlink("other.conf", folder / "etc" / "link");
  fs::rename(folder / "etc" / "link", file);
  EXPECT_TRUE(tells(*watch, "other"));
}

TEST_F(ResolverWatch, AFileOfTwoNamesIsWrittenByTheOther) {
  const fs::path file = folder / "resolv.conf";
  fs::create_directory(folder / "elsewhere");
  write(folder / "elsewhere" / "file", "first");
  // As a mount of a file does, a hard link gives it a second name without an event here.
  fs::create_hard_link(folder / "elsewhere" / "file", file);
  const auto watch = watch_resolv_conf(file);
  ASSERT_TRUE(watch.has_value());
  EXPECT_TRUE(tells(*watch, "first"));
  write(folder / "elsewhere" / "file", "second");
  EXPECT_TRUE(tells(*watch, "second"));
}

TEST_F(ResolverWatch, TheWatcherEndsWithItsReader) {
  const int status = sys::in_child([&] {
    auto watch = watch_resolv_conf(folder / "resolv.conf");
    if (!watch) return 1;
    watch->reset();
    return ::waitpid(-1, nullptr, 0) > 0 ? 0 : 2;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ResolverWatch, ConfigFollowsItWithoutOpeningAFile) {
  const fs::path file = folder / "resolv.conf";
  write(file, "nameserver 192.0.2.1\n");
  ResolverConfig config(file);
  ASSERT_EQ(config.load().resolvers.size(), 1U);
  EXPECT_FALSE(config.is_guess());
  auto watch = watch_resolv_conf(file);
  ASSERT_TRUE(watch.has_value());
  const int descriptor = watch->get();
  config.follow(std::move(*watch));
  ASSERT_TRUE(sys::wait_for(descriptor, POLLIN, 5000));
  // What is known already is no change.
  EXPECT_FALSE(config.refresh(Instant(std::chrono::seconds(100))));
  replace(file, "nameserver 192.0.2.2\n");
  ASSERT_TRUE(sys::wait_for(descriptor, POLLIN, 5000));
  EXPECT_TRUE(config.refresh(Instant(std::chrono::seconds(200))));
  EXPECT_EQ(config.current().resolvers.front().endpoint.address, sys::ip("192.0.2.2"));
}

TEST_F(ResolverWatch, NoResolverMeansThisMachine) {
  const fs::path file = folder / "resolv.conf";
  for (const char* text : {"", "# nothing\nsearch example.org\n", "nameserver nonsense\n"}) {
    write(file, text);
    ResolverConfig config(file);
    ASSERT_EQ(config.load().resolvers.size(), 1U);
    EXPECT_EQ(config.current().resolvers.front().endpoint,
              (wire::Endpoint{sys::ip("127.0.0.1"), wire::Port{53}}));
    EXPECT_TRUE(config.is_guess());
  }
  fs::remove(file);
  for (const char* target : {"nowhere", "resolv.conf"}) {
    fs::create_symlink(target, file);
    ResolverConfig config(file);
    EXPECT_EQ(config.load().resolvers.size(), 1U);
    EXPECT_TRUE(config.is_guess());
    fs::remove(file);
  }
}

}  // namespace
}  // namespace sluice::resolv
