#include "box/image/kernel.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

class KernelTest : public testing::Test {
 protected:
  [[nodiscard]] KernelPlaces places() const {
    return {.fetched = scratch_.path("fetched"),
            .boot = scratch_.path("boot"),
            .modules = {scratch_.path("modules")}};
  }
  void put_kernel(const std::string& path, const std::string& version) const {
    scratch_.file(path, fake_bzimage(version));
  }
  void put_modules(const std::string& folder) const {
    scratch_.file(folder + "/kernel/x.ko", "");
    scratch_.file(folder + "/modules.builtin",
                  "virtio_mmio.ko\nvirtio_console.ko\nvirtio_net.ko\nvirtiofs.ko\noverlay.ko\n");
    scratch_.file(folder + "/modules.dep", "");
  }
  [[nodiscard]] std::string found(const std::string& named = "") const {
    const auto kernel = find_kernel(named, places());
    return kernel ? kernel->version : kernel.error().describe();
  }
  const ScratchFolder scratch_;
};

TEST_F(KernelTest, OneForVirtualMachinesIsPreferredAndThenTheNewest) {
  for (const char* version : {"6.1.9-amd64", "6.1.10-amd64", "6.1.8-cloud-amd64"}) {
    put_kernel(std::string("boot/vmlinuz-") + version, version);
  }
  put_modules("modules/6.1.9-amd64");
  EXPECT_EQ(found(), "6.1.9-amd64") << "the others have no modules";
  put_modules("modules/6.1.10-amd64");
  EXPECT_EQ(found(), "6.1.10-amd64");
  put_modules("modules/6.1.8-cloud-amd64");
  EXPECT_EQ(found(), "6.1.8-cloud-amd64");
  put_kernel("fetched/5.10_5/vmlinuz", "5.10");
  put_modules("fetched/5.10_5/modules");
  EXPECT_EQ(found(), "5.10") << "whoever fetched one wants it";
  const auto kernel = find_kernel("", places());
  EXPECT_EQ(kernel->path, scratch_.path("fetched/5.10_5/vmlinuz"));
  EXPECT_EQ(kernel->modules, scratch_.path("fetched/5.10_5/modules"));
  EXPECT_EQ(kernel->bytes.size(), 0x300U);
}

TEST_F(KernelTest, OneMayLieBesideItsModules) {
  put_kernel("modules/6.6.1/vmlinuz", "6.6.1");
  put_modules("modules/6.6.1");
  EXPECT_EQ(found(), "6.6.1");
}

TEST_F(KernelTest, OneThatIsNamedIsTaken) {
  put_kernel("own/vmlinuz", "6.9-own");
  EXPECT_EQ(found(scratch_.path("own/vmlinuz")), "6.9-own");
  EXPECT_EQ(find_kernel(scratch_.path("own/vmlinuz"), places())->modules, "")
      << "all may be built in";
  scratch_.file("text", "no kernel");
  EXPECT_NE(found(scratch_.path("text")).find("is no Linux kernel"), std::string::npos);
  EXPECT_NE(found(scratch_.path("absent")).find("No such file"), std::string::npos);
}

TEST_F(KernelTest, WithoutAnyTheMendIsSaid) {
  EXPECT_NE(found().find("no kernel for the guest"), std::string::npos);
  EXPECT_NE(found().find("--fetch-kernel"), std::string::npos);
  put_kernel("boot/vmlinuz-6.1", "6.1");
  EXPECT_NE(found().find("vmlinuz-6.1 has no modules"), std::string::npos);
  scratch_.file("modules/6.1/modules.dep", "");
  EXPECT_NE(found().find("has no module virtio_mmio"), std::string::npos);
}

TEST_F(KernelTest, OneThatMayNotBeReadIsPassedOverInWords) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads all";
  put_kernel("boot/vmlinuz-6.1", "6.1");
  ::chmod(scratch_.path("boot/vmlinuz-6.1").c_str(), 0);
  EXPECT_NE(found().find("chmod a+r"), std::string::npos);
}

TEST(KernelPlaces, FetchedOnesAreInTheCache) {
  const char* before = ::getenv("XDG_CACHE_HOME");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("XDG_CACHE_HOME", "/some/cache", 1);
  EXPECT_EQ(usual_kernel_places().fetched, "/some/cache/sluice/kernel");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_TRUE(usual_kernel_places().fetched.ends_with("/.cache/sluice/kernel") ||
              ::getenv("HOME") == nullptr);
  if (before == nullptr) {
    ::unsetenv("XDG_CACHE_HOME");
  } else {
    ::setenv("XDG_CACHE_HOME", kept.c_str(), 1);
  }
}

}  // namespace
}  // namespace sluice::box
