#include "box/image/kernel_fetch.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <vector>

#include "box/image/kernel.h"
#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

constexpr std::string_view kSaid =
    "Package: linux-image-cloud-amd64\n"
    "Version: 6.1.1-2\n"
    "Depends: linux-base (>= 4.3), linux-image-6.1.0-9-cloud-amd64 (= 6.1.1-2)\n"
    "Description: Linux for cloud\n";

TEST(KernelFetch, ThePackageIsTheOneThatIsDependedOn) {
  EXPECT_EQ(package_of_kernel(kSaid), "linux-image-6.1.0-9-cloud-amd64=6.1.1-2");
  EXPECT_EQ(package_of_kernel("Version: 1\nDepends: other\n"), "");
  EXPECT_EQ(package_of_kernel("Depends: linux-image-6\n"), "");
  EXPECT_EQ(package_of_kernel(""), "");
}

// Programs that do as those of Debian's would.
class KernelFetchTest : public testing::Test {
 protected:
  KernelFetchTest() {
    tools_.program("apt-cache", "#!/bin/sh\ncat <<'X'\n" + std::string(kSaid) + "X\n");
    tools_.program("apt-get",
                   "#!/bin/sh\necho Get:1; touch linux-image-6.1.0-9-cloud-amd64_6.1.1-2_x.deb\n"
                   "echo run >> " +
                       tools_.path("runs") + "\n");
    tools_.file("kernel", fake_bzimage("6.1.0-9-cloud-amd64"));
    unpacker("exit 0");
    ::setenv("PATH", (tools_.path() + ":" + path_).c_str(), 1);
  }
  ~KernelFetchTest() override { ::setenv("PATH", path_.c_str(), 1); }

  void unpacker(const std::string& end) const {
    tools_.program("dpkg-deb",
                   "#!/bin/sh\nmkdir -p $3/boot $3/lib/modules/6.1.0-9-cloud-amd64/kernel\n"
                   "cp " +
                       tools_.path("kernel") +
                       " $3/boot/vmlinuz-6.1.0-9-cloud-amd64\n"
                       "printf 'virtio_mmio.ko\\nvirtio_console.ko\\nvirtio_net.ko\\nvirtiofs.ko\\n"
                       "overlay.ko\\n' > $3/lib/modules/6.1.0-9-cloud-amd64/modules.builtin\n" +
                       end + "\n");
  }
  auto fetch() {
    return fetch_kernel(cache_.path("kernel"),
                        [this](std::string_view line) { lines_.emplace_back(line); });
  }
  [[nodiscard]] auto found() const {
    return find_kernel("", {.fetched = cache_.path("kernel"), .boot = "/nowhere", .modules = {}});
  }

  const std::string path_ = ::getenv("PATH");
  const ScratchFolder tools_;
  const ScratchFolder cache_;
  std::vector<std::string> lines_;
};

TEST_F(KernelFetchTest, AFetchedKernelIsFoundAfterwards) {
  const auto path = fetch();
  ASSERT_TRUE(path.has_value()) << path.error().describe();
  const auto kernel = found();
  ASSERT_TRUE(kernel.has_value()) << kernel.error().describe();
  EXPECT_EQ(kernel->path, *path);
  EXPECT_EQ(kernel->version, "6.1.0-9-cloud-amd64");
  EXPECT_EQ(lines_.size(), 3U) << "what is fetched, apt-get's own line, what is unpacked";
  // Again: it is there.
  EXPECT_EQ(*fetch(), *path);
  EXPECT_EQ(std::filesystem::file_size(tools_.path("runs")), 4U) << "apt-get ran once";
}

TEST_F(KernelFetchTest, OneThatBrokeLeavesNothingToBeFound) {
  unpacker("echo no space; exit 1");
  const auto path = fetch();
  ASSERT_FALSE(path.has_value());
  EXPECT_NE(path.error().step.find("no space"), std::string::npos);
  EXPECT_FALSE(found().has_value());
  // What a killed one left is swept.
  cache_.file("kernel/.fresh/unpacked/boot/vmlinuz-0", "x");
  unpacker("exit 0");
  EXPECT_TRUE(fetch().has_value());
  EXPECT_FALSE(std::filesystem::exists(cache_.path("kernel/.fresh")));
}

TEST_F(KernelFetchTest, WithoutAptTheMendIsSaid) {
  tools_.program("apt-cache", "#!/bin/sh\nexit 1\n");
  EXPECT_NE(fetch().error().hint.find("--kernel FILE"), std::string::npos);
  tools_.program("apt-cache", "#!/bin/sh\nexit 0\n");
  EXPECT_NE(fetch().error().hint.find("apt-get update"), std::string::npos);
  EXPECT_NE(fetch_kernel("", [](std::string_view) {}).error().hint.find("XDG_CACHE_HOME"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::box
