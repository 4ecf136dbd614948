#include "relay/pump_queue.h"

#include <gtest/gtest.h>

namespace sluice::relay {
namespace {

struct Owner {
  int number = 0;
  bool queued = false;
};

class PumpQueueTest : public testing::Test {
 protected:
  SlabHandle make(int number) {
    const SlabHandle handle = owners.emplace();
    owners.find(handle)->number = number;
    return handle;
  }
  void add(SlabHandle handle) { queue.add(handle, *owners.find(handle)); }
  // The numbers of those that were pumped.
  std::vector<int> run() {
    std::vector<int> pumped;
    queue.run(owners, [&](SlabHandle, Owner& owner) { pumped.push_back(owner.number); });
    return pumped;
  }

  Slab<Owner> owners;
  PumpQueue<Owner> queue;
};

TEST_F(PumpQueueTest, EachIsPumpedOnceInTheOrderInWhichItBecameReady) {
  const SlabHandle one = make(1);
  const SlabHandle two = make(2);
  const SlabHandle three = make(3);
  add(two);
  add(one);
  add(two);
  add(three);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(run(), (std::vector{2, 1, 3}));
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(run().empty());
}

TEST_F(PumpQueueTest, OneThatHasMoreToDoWaitsForTheNextRun) {
  const SlabHandle one = make(1);
  const SlabHandle two = make(2);
  add(one);
  add(two);
  int pumps = 0;
  queue.run(owners, [&](SlabHandle handle, Owner& owner) {
    ++pumps;
    if (owner.number == 1) queue.add(handle, owner);
  });
  EXPECT_EQ(pumps, 2);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(run(), std::vector{1});
  EXPECT_TRUE(queue.empty());
}

TEST_F(PumpQueueTest, OneThatIsGoneIsPassedOver) {
  const SlabHandle one = make(1);
  const SlabHandle two = make(2);
  add(one);
  add(two);
  owners.erase(one);
  // Another one in its place is not taken for it.
  const SlabHandle three = make(3);
  EXPECT_EQ(three.index, one.index);
  EXPECT_EQ(run(), std::vector{2});
  add(three);
  EXPECT_EQ(run(), std::vector{3});
}

TEST_F(PumpQueueTest, APumpMayEndItsOwnAndOthers) {
  const SlabHandle one = make(1);
  const SlabHandle two = make(2);
  const SlabHandle three = make(3);
  for (const SlabHandle handle : {one, two, three}) add(handle);
  std::vector<int> pumped;
  queue.run(owners, [&](SlabHandle handle, Owner& owner) {
    pumped.push_back(owner.number);
    if (handle != one) return;
    owners.erase(two);
    owners.erase(one);
  });
  EXPECT_EQ(pumped, (std::vector{1, 3}));
}

}  // namespace
}  // namespace sluice::relay
