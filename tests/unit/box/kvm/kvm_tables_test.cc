#include "box/kvm/kvm_tables.h"

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "box/kvm/kvm_calls.h"

namespace sluice::box {
namespace {

// As a C compiler has them (strace prints these for programs in C).
TEST(KvmTables, RequestsHaveTheNumbersOfC) {
  EXPECT_EQ(kKvmGetSupportedCpuid, 0xc008'ae05UL);
  EXPECT_EQ(kKvmSetCpuid2, 0x4008'ae90UL);
  EXPECT_EQ(kKvmSetMsrs, 0x4008'ae89UL);
}

TEST(KvmTables, KvmTakesThem) {
  KvmCalls& calls = real_kvm_calls();
  const UniqueFd device(calls.open("/dev/kvm"));
  if (!device.valid()) GTEST_SKIP() << "no /dev/kvm";
  CpuidTable table{.count = CpuidTable::kEntriesMax};
  ASSERT_EQ(
      calls.ioctl(device.get(), kKvmGetSupportedCpuid, reinterpret_cast<std::uintptr_t>(&table)),
      0);
  ASSERT_GT(table.count, 0U);
  EXPECT_EQ(table.entries[0].function, 0U);  // The highest leaf and the vendor's name.
  EXPECT_NE(table.entries[0].ebx, 0U);
}

}  // namespace
}  // namespace sluice::box
