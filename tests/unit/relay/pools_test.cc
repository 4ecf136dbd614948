#include "relay/pools.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "relay/idle_stock.h"
#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::relay {
namespace {

using namespace std::chrono_literals;

Instant at(Duration since) { return Instant{} + 1h + since; }

TEST(IdleStock, LendsWhatWasUsedLastAndKeepsNoMoreThanItsBound) {
  IdleStock<int> stock(2);
  EXPECT_EQ(stock.take(), std::nullopt);
  stock.keep(1);
  stock.keep(2);
  stock.keep(3);
  EXPECT_EQ(stock.size(), 2u);
  EXPECT_EQ(stock.take(), 2);
  EXPECT_EQ(stock.take(), 1);
}

TEST(IdleStock, AgeDropsOnlyWhatWasNotNeededSince) {
  IdleStock<int> stock(8);
  for (int i = 0; i < 5; ++i) stock.keep(i);
  stock.age();
  EXPECT_EQ(stock.size(), 5u);  // They came since.
  const auto first = stock.take();
  const auto second = stock.take();
  stock.keep(*second);
  stock.keep(*first);
  stock.age();
  EXPECT_EQ(stock.size(), 2u);  // Two were lent at once.
  stock.age();
  EXPECT_EQ(stock.size(), 0u);
}

TEST(BufferPool, BuffersBeginAtAPageAndAreUsedAgain) {
  BufferPool pool(65'536);
  Buffer first = pool.take();
  ASSERT_TRUE(first.valid());
  EXPECT_EQ(first.size(), 65'536u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % 4096, 0u);
  first.data()[65'535] = 1;
  EXPECT_EQ(pool.lent(), 1u);
  const std::uint8_t* at = first.data();
  pool.give_back(std::move(first));
  EXPECT_EQ(pool.lent(), 0u);
  EXPECT_EQ(pool.idle(), 1u);
  Buffer again = pool.take();
  EXPECT_EQ(again.data(), at);
  pool.give_back(std::move(again));
}

TEST(BufferPool, KeepsABoundedAmountAndNoOddSizes) {
  BufferPool pool(1024 * 1024);
  std::vector<Buffer> lent;
  for (int i = 0; i < 10; ++i) lent.push_back(pool.take());
  Buffer large = pool.take_at_least(1024 * 1024 + 1);
  EXPECT_EQ(large.size(), 1024u * 1024 + 1);
  Buffer small = pool.take_at_least(1);
  EXPECT_EQ(small.size(), 1024u * 1024);
  pool.give_back(std::move(large));
  EXPECT_EQ(pool.idle(), 0u);
  pool.give_back(std::move(small));
  for (Buffer& buffer : lent) pool.give_back(std::move(buffer));
  EXPECT_EQ(pool.idle(), BufferPool::kBytesKept / (1024 * 1024));
  EXPECT_EQ(pool.lent(), 0u);
}

TEST(BufferPool, NoMemoryIsAnAnswer) {
  const int status = sys::in_child([] {
    const rlimit none{.rlim_cur = 1, .rlim_max = 1};
    ::setrlimit(RLIMIT_AS, &none);
    BufferPool pool(16 * 1024 * 1024);
    return !pool.take().valid() && pool.lent() == 0 ? 0 : 1;
  });
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer needs memory of its own";
#endif
  EXPECT_EQ(status, 0);
}

TEST(PipePool, AsksForTheSizeAndUsesAPipeAgain) {
  sys::FakeKernel kernel;
  PipePool pool(kernel, 1'048'576, 4);
  auto pipe = pool.take(at(0s));
  ASSERT_NE(pipe, nullptr);
  EXPECT_EQ(pipe->capacity, 1'048'576u);
  EXPECT_EQ(kernel.last("pipe2")->first, O_NONBLOCK | O_CLOEXEC);
  EXPECT_EQ(kernel.last("fcntl")->first, F_SETPIPE_SZ);
  pool.give_back(std::move(pipe));
  EXPECT_EQ(pool.idle(), 1u);
  pipe = pool.take(at(0s));
  EXPECT_EQ(kernel.count("pipe2"), 1u);
  pool.discard(std::move(pipe));
  EXPECT_EQ(pool.idle(), 0u);
  EXPECT_EQ(pool.lent(), 0u);
  EXPECT_EQ(kernel.closed.size(), 2u);
}

TEST(PipePool, TakesLessIfThatIsUseful) {
  sys::FakeKernel kernel;
  PipePool pool(kernel, 1'048'576, 4);
  kernel.script("fcntl", -1, EPERM);
  kernel.script("fcntl", 262'144);
  EXPECT_EQ(pool.take(at(0s))->capacity, 262'144u);
  kernel.script("fcntl", -1, EPERM);
  kernel.script("fcntl", -1, EPERM);
  kernel.script("fcntl", 65'536);  // F_GETPIPE_SZ: as it was made.
  EXPECT_EQ(pool.take(at(0s))->capacity, 65'536u);
}

TEST(PipePool, LeavesTheKernelAloneAfterARefusal) {
  sys::FakeKernel kernel;
  PipePool pool(kernel, 1'048'576, 4);
  kernel.script("fcntl", -1, EPERM);
  kernel.script("fcntl", -1, EPERM);
  kernel.script("fcntl", 8192);  // What is beyond the user's soft limit gets.
  EXPECT_EQ(pool.take(at(0s)), nullptr);
  EXPECT_EQ(kernel.closed.size(), 2u);
  EXPECT_EQ(pool.take(at(4s)), nullptr);
  EXPECT_EQ(kernel.count("pipe2"), 1u);
  kernel.script("pipe2", -1, EMFILE);
  EXPECT_EQ(pool.take(at(5s)), nullptr);
  EXPECT_EQ(pool.take(at(9s)), nullptr);
  EXPECT_EQ(kernel.count("pipe2"), 2u);
  EXPECT_NE(pool.take(at(10s)), nullptr);
}

TEST(PipePool, HasABound) {
  sys::FakeKernel kernel;
  PipePool pool(kernel, 65'536, 2);
  auto first = pool.take(at(0s));
  auto second = pool.take(at(0s));
  EXPECT_EQ(pool.take(at(0s)), nullptr);
  pool.give_back(std::move(first));
  EXPECT_NE(pool.take(at(0s)), nullptr);  // The bound is no refusal of the kernel's.
}

TEST(PipePool, ARealPipeHasTheSizeItTells) {
  PipePool pool(sys::real_kernel(), 262'144, 2);
  const auto pipe = pool.take(at(0s));
  ASSERT_NE(pipe, nullptr);
  EXPECT_EQ(::fcntl(pipe->in.get(), F_GETPIPE_SZ), static_cast<int>(pipe->capacity));
  EXPECT_GE(pipe->capacity, PipePool::kUseful);
  EXPECT_EQ(::write(pipe->in.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(pipe->out.get(), &byte, 1), 1);
}

TEST(Pools, TrimReturnsMemoryAfterAWhileAndSaysWhen) {
  sys::FakeKernel kernel;
  Pools pools(kernel, {});
  EXPECT_EQ(pools.trim(at(0s)), kNever);
  pools.buffers().give_back(pools.buffers().take());
  pools.pipes().give_back(pools.pipes().take(at(0s)));
  const Instant first = pools.trim(at(0s));
  EXPECT_EQ(first, at(2s));
  EXPECT_EQ(pools.trim(at(1s)), first);  // Too early: nothing changes.
  EXPECT_EQ(pools.buffers().idle(), 1u);
  (void)pools.trim(at(2s));
  EXPECT_EQ(pools.buffers().idle(), 0u);
  EXPECT_EQ(pools.pipes().idle(), 0u);
  EXPECT_EQ(kernel.closed.size(), 2u);
  EXPECT_EQ(pools.trim(at(4s)), kNever);
}

TEST(Pools, SizesOutOfRangeAreBroughtIntoIt) {
  sys::FakeKernel kernel;
  Pools pools(kernel, {.buffer_size = 1, .pipe_size = 1});
  EXPECT_EQ(pools.buffers().take().size(), kBufferSizeMin);
  EXPECT_EQ(pools.pipes().take(at(0s))->capacity, 4096u);
}

}  // namespace
}  // namespace sluice::relay
