#include "box/acpi/acpi_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "base/bytes.h"
#include "box/boot/little_endian.h"

namespace sluice::box {
namespace {

constexpr std::uint64_t kAddress = 0xe'0000;

class Tables : public ::testing::Test {
 protected:
  void make(unsigned cpus, std::span<const AcpiDevice> devices) {
    block_ = acpi_tables(kAddress,
                         {.cpus = cpus,
                          .ports = {.sleep_control = 0x600, .sleep_status = 0x601, .reset = 0x602},
                          .devices = devices});
  }
  template <typename T>
  T at(std::uint64_t address) {
    return load_le<T>(block_, address - kAddress);
  }
  std::string signature(std::uint64_t address) {
    const auto begin = block_.begin() + static_cast<std::ptrdiff_t>(address - kAddress);
    return {begin, begin + 4};
  }
  // As ACPI finds it, with what it must be.
  std::uint64_t table(std::size_t index) {
    const auto xsdt = at<std::uint64_t>(kAddress + 24);
    return at<std::uint64_t>(xsdt + 36 + index * 8);
  }
  unsigned sum(std::uint64_t address, std::size_t length) {
    const auto begin = block_.begin() + static_cast<std::ptrdiff_t>(address - kAddress);
    return std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(length), 0U) & 0xff;
  }
  unsigned sum(std::uint64_t address) { return sum(address, at<std::uint32_t>(address + 4)); }

  std::vector<std::uint8_t> block_;
};

TEST_F(Tables, AreFoundFromTheRootPointer) {
  make(1, {});
  EXPECT_EQ(std::string(block_.begin(), block_.begin() + 8), "RSD PTR ");
  EXPECT_EQ(sum(kAddress, 20), 0U);
  EXPECT_EQ(sum(kAddress, 36), 0U);
  const auto xsdt = at<std::uint64_t>(kAddress + 24);
  EXPECT_EQ(signature(xsdt), "XSDT");
  EXPECT_EQ(sum(xsdt), 0U);
  EXPECT_EQ(signature(table(0)), "FACP");
  EXPECT_EQ(signature(table(1)), "APIC");
}

TEST_F(Tables, TheHardwareIsReducedAndEndsByItsRegisters) {
  make(1, {});
  const std::uint64_t fadt = table(0);
  EXPECT_EQ(at<std::uint32_t>(fadt + 4), 276U);
  EXPECT_EQ(sum(fadt), 0U);
  const auto flags = at<std::uint32_t>(fadt + 112);
  EXPECT_NE(flags & 1U << 20, 0U);  // Hardware-reduced.
  EXPECT_NE(flags & 1U << 10, 0U);  // A reset register.
  const auto boot = at<std::uint16_t>(fadt + 109);
  EXPECT_EQ(boot & 2, 0);       // No 8042.
  EXPECT_NE(boot & 1 << 5, 0);  // No CMOS clock.
  EXPECT_EQ(at<std::uint8_t>(fadt + 116), 1);
  EXPECT_EQ(at<std::uint64_t>(fadt + 120), 0x602U);
  EXPECT_EQ(at<std::uint8_t>(fadt + 128), kAcpiResetValue);
  EXPECT_EQ(at<std::uint64_t>(fadt + 248), 0x600U);
  EXPECT_EQ(at<std::uint64_t>(fadt + 260), 0x601U);
  const auto dsdt = at<std::uint64_t>(fadt + 140);
  EXPECT_EQ(signature(dsdt), "DSDT");
  EXPECT_EQ(sum(dsdt), 0U);
}

TEST_F(Tables, EveryProcessorIsThere) {
  make(3, {});
  const std::uint64_t madt = table(1);
  EXPECT_EQ(sum(madt), 0U);
  EXPECT_EQ(at<std::uint32_t>(madt + 36), 0xfee0'0000U);
  std::vector<int> processors;
  int controllers = 0;
  for (std::uint64_t entry = madt + 44; entry < madt + at<std::uint32_t>(madt + 4);
       entry += at<std::uint8_t>(entry + 1)) {
    ASSERT_GT(at<std::uint8_t>(entry + 1), 0);
    if (at<std::uint8_t>(entry) == 0) processors.push_back(at<std::uint8_t>(entry + 3));
    if (at<std::uint8_t>(entry) == 1) ++controllers;
  }
  EXPECT_EQ(processors, (std::vector{0, 1, 2}));
  EXPECT_EQ(controllers, 1);
}

TEST_F(Tables, EveryDeviceIsNamed) {
  const std::vector<AcpiDevice> devices{{.address = 0xd000'0000, .size = 0x1000, .gsi = 5},
                                        {.address = 0xd000'1000, .size = 0x1000, .gsi = 6}};
  make(1, devices);
  const auto dsdt = at<std::uint64_t>(table(0) + 140);
  const std::string code(
      block_.begin() + static_cast<std::ptrdiff_t>(dsdt - kAddress),
      block_.begin() + static_cast<std::ptrdiff_t>(dsdt - kAddress + at<std::uint32_t>(dsdt + 4)));
  EXPECT_NE(code.find("V000"), std::string::npos);
  EXPECT_NE(code.find("V001"), std::string::npos);
  EXPECT_NE(code.find("LNRO0005"), std::string::npos);
  EXPECT_NE(code.find(std::string("\x86\x09\x00\x01\x00\x10\x00\xd0", 8)), std::string::npos);
  EXPECT_NE(code.find("_S5_"), std::string::npos);
}

// With all the devices and processors that there can be they fit where firmware has them.
TEST_F(Tables, AreSmall) {
  const std::vector<AcpiDevice> devices(19);
  make(64, devices);
  EXPECT_LT(block_.size(), 0x1'0000U);
}

}  // namespace
}  // namespace sluice::box
