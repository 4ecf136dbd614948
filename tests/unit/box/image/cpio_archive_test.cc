#include "box/image/cpio_archive.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::box {
namespace {

ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(CpioArchive, IsAsTheKernelReadsIt) {
  CpioArchive archive;
  archive.file("init", bytes_of("hello"), 0755);
  const auto bytes = std::move(archive).finish();
  const std::string text(bytes.begin(), bytes.end());
  using namespace std::string_literals;
  const std::string file =
      "070701"
      "00000001"
      "000081ED"
      "00000000"
      "00000000"
      "00000001"
      "00000000"
      "00000005"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000005"
      "00000000"
      "init\0\0hello\0\0\0"s;
  const std::string trailer =
      "070701"
      "00000002"
      "00000000"
      "00000000"
      "00000000"
      "00000001"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "00000000"
      "0000000B"
      "00000000"
      "TRAILER!!!\0\0\0\0"s;
  // A name begins at 110, so that 4 + 1 bytes of it take one more, and the trailer's 11 three.
  EXPECT_EQ(text, file + trailer.substr(0, 110 + 11) + std::string(3, '\0'));
  EXPECT_EQ(bytes.size() % 4, 0U);
}

TEST(CpioArchive, FoldersAboveAreThereOnce) {
  CpioArchive archive;
  archive.file("a/b/first", {}, 0644);
  archive.file("a/b/second", {}, 0644);
  archive.folder("a");
  archive.character_device("dev/console", 5, 1);
  const auto bytes = std::move(archive).finish();
  const std::string text(bytes.begin(), bytes.end());
  const auto count = [&text](std::string_view name) {
    std::size_t found = 0;
    const std::string whole = std::string(name) + '\0';
    for (std::size_t at = 0; at + 110 + whole.size() <= text.size(); at += 2) {
      if (text.substr(at, 6) == "070701" && text.substr(at + 110, whole.size()) == whole) ++found;
    }
    return found;
  };
  for (const char* name : {"a", "a/b", "a/b/first", "a/b/second", "dev", "dev/console"}) {
    EXPECT_EQ(count(name), 1U) << name;
  }
  EXPECT_LT(text.find("a/b\0"), text.find("a/b/first"));
  // A character device 5:1 that only root may use.
  EXPECT_NE(text.find("00002180"), std::string::npos);
  EXPECT_NE(text.find("0000000500000001"), std::string::npos);
}

}  // namespace
}  // namespace sluice::box
