#include "box/image/module_choice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

void put_modules(const ScratchFolder& scratch, const std::string& folder) {
  const auto put = [&](const std::string& path, std::string_view depends) {
    scratch.file(folder + "/kernel/" + path, fake_module(depends));
  };
  put("bus/virtio.ko", "virtio_ring");
  put("bus/virtio_ring.ko", "");
  put("bus/virtio_mmio.ko", "virtio,virtio_ring");
  put("char/virtio_console.ko", "virtio");
  put("char/virtio-rng.ko", "virtio");
  put("net/virtio_net.ko", "virtio");
  put("fs/virtiofs.ko", "fuse,virtio");
  put("fs/fuse.ko", "");
  put("fs/unused.ko", "fuse");
}

TEST(ModuleChoice, WithoutDepmodTheModulesAreAsked) {
  const ScratchFolder scratch;
  put_modules(scratch, "modules");
  scratch.file("modules/modules.builtin", "kernel/fs/overlay.ko\n");
  const auto chosen = choose_modules(scratch.path("modules"));
  ASSERT_TRUE(chosen.has_value()) << chosen.error().describe();
  const auto at = [&chosen](std::string_view end) {
    return std::ranges::find_if(*chosen, [end](const auto& path) { return path.ends_with(end); }) -
           chosen->begin();
  };
  EXPECT_EQ(chosen->size(), 8U);
  EXPECT_LT(at("/virtio_ring.ko"), at("/virtio.ko"));
  EXPECT_LT(at("/virtio.ko"), at("/virtio_mmio.ko"));
  EXPECT_LT(at("/fuse.ko"), at("/virtiofs.ko"));
  EXPECT_EQ(chosen->front(), scratch.path("modules/kernel/bus/virtio_ring.ko"));
}

TEST(ModuleChoice, WhatDepmodLeftIsRead) {
  const ScratchFolder scratch;
  std::string dep;
  for (const char* name : {"virtio_mmio", "virtio_console", "virtio_net", "virtiofs", "overlay"}) {
    dep += std::string(name) + ".ko.xz: virtio.ko.xz\n";
  }
  scratch.file("modules/modules.dep", dep + "virtio.ko.xz:\n");
  const auto chosen = choose_modules(scratch.path("modules"));
  ASSERT_TRUE(chosen.has_value()) << chosen.error().describe();
  EXPECT_EQ(chosen->size(), 6U);
  EXPECT_EQ(chosen->front(), scratch.path("modules/virtio.ko.xz"));
}

TEST(ModuleChoice, WhatIsMissingIsNamed) {
  const ScratchFolder scratch;
  put_modules(scratch, "modules");
  const auto chosen = choose_modules(scratch.path("modules"));
  ASSERT_FALSE(chosen.has_value());
  EXPECT_NE(chosen.error().describe().find("has no module overlay"), std::string::npos);
  EXPECT_NE(chosen.error().hint.find("--fetch-kernel"), std::string::npos);
  EXPECT_FALSE(choose_modules(scratch.path("absent")).has_value());
  EXPECT_EQ(choose_modules(""), std::vector<std::string>()) << "all may be built in";
}

TEST(ModuleChoice, CompressedModulesNeedDepmod) {
  const ScratchFolder scratch;
  put_modules(scratch, "modules");
  scratch.file("modules/kernel/fs/overlay.ko.xz", "x");
  const auto chosen = choose_modules(scratch.path("modules"));
  ASSERT_FALSE(chosen.has_value());
  EXPECT_NE(chosen.error().hint.find("depmod"), std::string::npos);
}

TEST(ModuleChoice, AnIndexChoosesTheSame) {
  const ScratchFolder scratch;
  put_modules(scratch, "modules");
  scratch.file("modules/kernel/fs/overlay.ko", fake_module(""));
  const auto asked = choose_modules(scratch.path("modules"));
  ASSERT_TRUE(index_modules(scratch.path("modules")).has_value());
  const auto read = choose_modules(scratch.path("modules"));
  ASSERT_TRUE(asked.has_value() && read.has_value());
  EXPECT_EQ(*asked, *read);
  scratch.file("packed/x.ko.zst", "x");
  EXPECT_FALSE(index_modules(scratch.path("packed")).has_value());
}

}  // namespace
}  // namespace sluice::box
