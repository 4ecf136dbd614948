#include "box/image/module_graph.h"

#include <gtest/gtest.h>

#include "unit/box/image/scratch_folder.h"

namespace sluice::box {
namespace {

using Names = std::vector<std::string>;

TEST(ModuleGraph, NamesAreTheKernels) {
  EXPECT_EQ(module_name("kernel/drivers/char/hw_random/virtio-rng.ko"), "virtio_rng");
  EXPECT_EQ(module_name("overlay.ko.xz"), "overlay");
  EXPECT_EQ(module_name("overlay.ko.zst"), "overlay");
  EXPECT_EQ(module_name("modules.dep"), "");
  EXPECT_EQ(module_name("a.ko.bak"), "");
}

TEST(ModuleGraph, WhatIsNeededComesFirstAndOnce) {
  ModuleGraph graph;
  graph.add_dep_file(
      "kernel/virtio_net.ko: kernel/net_failover.ko kernel/failover.ko kernel/virtio.ko\n"
      "kernel/net_failover.ko: kernel/failover.ko\n"
      "kernel/failover.ko:\n"
      "kernel/virtio.ko: kernel/virtio_ring.ko\n"
      "kernel/virtio_ring.ko:\n"
      "kernel/other.ko:\n");
  graph.add_builtin_file("kernel/overlay.ko\n");
  EXPECT_EQ(graph.load_order(Names{"virtio_net", "overlay", "virtio"}),
            (Names{"kernel/failover.ko", "kernel/net_failover.ko", "kernel/virtio_ring.ko",
                   "kernel/virtio.ko", "kernel/virtio_net.ko"}));
  EXPECT_EQ(graph.load_order(Names{"virtio", "absent"}).error(), "absent");
  EXPECT_TRUE(graph.knows("overlay") && graph.knows("other") && !graph.knows("absent"));
}

TEST(ModuleGraph, ModulesThatNeedEachOtherEnd) {
  ModuleGraph graph;
  graph.add({"a.ko", {"b"}});
  graph.add({"b.ko", {"a"}});
  EXPECT_EQ(graph.load_order(Names{"a"}), (Names{"b.ko", "a.ko"}));
}

TEST(ModuleGraph, AModuleSaysWhatItNeeds) {
  const auto needs = [](std::string_view depends) {
    const std::string file = fake_module(depends);
    return needs_of_module({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
  };
  EXPECT_EQ(needs("fuse,virtio-ring"), (Names{"fuse", "virtio_ring"}));
  EXPECT_EQ(needs(""), Names());
  EXPECT_EQ(needs_of_module({}), Names());
}

}  // namespace
}  // namespace sluice::box
