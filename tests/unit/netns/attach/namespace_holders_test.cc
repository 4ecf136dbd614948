#include "netns/attach/namespace_holders.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::netns {
namespace {

// A folder as /proc, whose namespaces are plain files.
class NamespaceHolders : public testing::Test {
 protected:
  NamespaceHolders() {
    std::string pattern = testing::TempDir() + "proc-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    std::ofstream(root_ + "/net") << "the namespace";
    std::ofstream(root_ + "/other") << "another";
    struct stat status{};
    EXPECT_EQ(::stat((root_ + "/net").c_str(), &status), 0);
    id_ = {status.st_dev, status.st_ino};
  }
  ~NamespaceHolders() override { std::filesystem::remove_all(root_); }

  void add(pid_t process, pid_t parent, const char* where, const char* name = "sleep") {
    const std::string folder = fmt::format("{}/{}", root_, process);
    std::filesystem::create_directories(folder + "/ns");
    std::filesystem::create_symlink(root_ + "/" + where, folder + "/ns/net");
    std::ofstream(folder + "/stat") << fmt::format("{} ({}) S {} 0 0", process, name, parent);
  }

  std::string root_;
  NamespaceId id_;
};

TEST_F(NamespaceHolders, AProcessInItHoldsIt) {
  EXPECT_EQ(find_holder(id_, 7, root_), std::nullopt);
  add(20, 1, "other");
  EXPECT_EQ(find_holder(id_, 7, root_), std::nullopt);
  add(21, 1, "net");
  EXPECT_EQ(find_holder(id_, 7, root_), 21);
  EXPECT_TRUE(is_in(21, id_, root_));
  EXPECT_FALSE(is_in(20, id_, root_));
  EXPECT_FALSE(is_in(22, id_, root_));
}

TEST_F(NamespaceHolders, OursDoNotCount) {
  add(7, 1, "net");
  add(8, 7, "net");
  EXPECT_EQ(find_holder(id_, 7, root_), std::nullopt);
  // One that looks like ours by its name.
  add(9, 1, "net", "x) S 7 (");
  EXPECT_EQ(find_holder(id_, 7, root_), 9);
}

TEST_F(NamespaceHolders, AMountOfItsFileHoldsIt) {
  const std::string mounts = root_ + "/mountinfo";
  const auto with = [&](const std::string& line) {
    std::ofstream(mounts) << "22 1 0:21 / /proc rw - proc proc rw\n" << line << "\n";
    return is_mounted(id_, mounts);
  };
  const auto inode = id_.inode;
  EXPECT_TRUE(
      with(fmt::format("99 22 0:4 net:[{}] /run/netns/a rw shared:5 - nsfs nsfs rw", inode)));
  EXPECT_FALSE(
      with(fmt::format("99 22 0:4 net:[{}1] /run/netns/a rw shared:5 - nsfs nsfs rw", inode)));
  EXPECT_FALSE(with(fmt::format("99 22 0:4 / /mnt/net:[{}] rw - ext4 /dev/sda rw", inode)));
  EXPECT_FALSE(is_mounted(id_, root_ + "/no such file"));
}

}  // namespace
}  // namespace sluice::netns
