#include "link/pcap_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>

namespace sluice::link {
namespace {

using namespace std::chrono_literals;

struct Record {
  std::uint32_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  std::uint32_t original = 0;
  std::vector<std::uint8_t> bytes;
};

// A reader of its own, after the format's description.
struct Capture {
  std::array<std::uint32_t, 6> header{};
  std::vector<Record> records;
};

Capture read_capture(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> all{std::istreambuf_iterator<char>(file), {}};
  Capture capture;
  std::size_t at = 0;
  const auto take = [&](void* to, std::size_t size) {
    if (size == 0) return;
    ASSERT_LE(at + size, all.size());
    std::memcpy(to, all.data() + at, size);
    at += size;
  };
  take(capture.header.data(), sizeof(capture.header));
  while (at < all.size() && !::testing::Test::HasFatalFailure()) {
    std::array<std::uint32_t, 4> head{};
    take(head.data(), sizeof(head));
    Record record{head[0], head[1], head[3], std::vector<std::uint8_t>(head[2])};
    take(record.bytes.data(), record.bytes.size());
    capture.records.push_back(std::move(record));
  }
  return capture;
}

class PcapFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const int fd = ::mkstemp(path_.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  static std::vector<std::uint8_t> pattern(std::size_t size, std::uint8_t seed) {
    std::vector<std::uint8_t> bytes(size);
    std::iota(bytes.begin(), bytes.end(), seed);
    return bytes;
  }
  static iovec piece(std::vector<std::uint8_t>& bytes, std::size_t from, std::size_t size) {
    return {.iov_base = bytes.data() + from, .iov_len = size};
  }

  std::string path_ = "/tmp/sluice-pcap-XXXXXX";
  static constexpr PcapFile::WallTime kTime{1'700'000'000s + 123'456'789ns};
};

TEST_F(PcapFileTest, TheHeaderIsThereAtOnce) {
  const PcapFile file = PcapFile::open(path_).value();
  const Capture capture = read_capture(path_);
  EXPECT_EQ(capture.header[0], 0xa1b2'3c4du);
  EXPECT_EQ(capture.header[1], 0x0004'0002u);
  EXPECT_EQ(capture.header[4], PcapFile::kSnapLength);
  EXPECT_EQ(capture.header[5], 1u);
  EXPECT_TRUE(capture.records.empty());
}

TEST_F(PcapFileTest, TheFileIsItsOwnersAlone) {
  ::unlink(path_.c_str());
  const mode_t before = ::umask(0);
  const auto file = PcapFile::open(path_);
  ::umask(before);
  ASSERT_TRUE(file.has_value());
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(PcapFileTest, AFrameIsItsHeaderAndItsPieces) {
  PcapFile file = PcapFile::open(path_).value();
  auto header = pattern(54, 1);
  auto payload = pattern(1000, 7);
  const std::array pieces{piece(payload, 0, 300), piece(payload, 300, 0), piece(payload, 300, 700)};
  file.frame(kTime, header, pieces);
  file.frame(kTime + 1ns, header, {});
  file.flush();

  const Capture capture = read_capture(path_);
  ASSERT_EQ(capture.records.size(), 2u);
  EXPECT_EQ(capture.records[0].seconds, 1'700'000'000u);
  EXPECT_EQ(capture.records[0].nanoseconds, 123'456'789u);
  EXPECT_EQ(capture.records[0].original, 1054u);
  auto expected = header;
  expected.insert(expected.end(), payload.begin(), payload.end());
  EXPECT_EQ(capture.records[0].bytes, expected);
  EXPECT_EQ(capture.records[1].nanoseconds, 123'456'790u);
  EXPECT_EQ(capture.records[1].bytes, header);
}

TEST_F(PcapFileTest, SuperFramesPassTheBufferInOrder) {
  PcapFile file = PcapFile::open(path_).value();
  auto header = pattern(66, 3);
  for (std::uint8_t i = 0; i < 20; ++i) {
    auto payload = pattern(65'536 + 1'000U * i, i);
    // More pieces than one writev() takes.
    std::vector<iovec> pieces;
    for (std::size_t at = 0; at < payload.size(); at += 700) {
      pieces.push_back(piece(payload, at, std::min<std::size_t>(700, payload.size() - at)));
    }
    file.frame(kTime, header, pieces);
  }
  file.flush();

  const Capture capture = read_capture(path_);
  ASSERT_EQ(capture.records.size(), 20u);
  for (std::uint8_t i = 0; i < 20; ++i) {
    auto expected = header;
    const auto payload = pattern(65'536 + 1'000U * i, i);
    expected.insert(expected.end(), payload.begin(), payload.end());
    ASSERT_EQ(capture.records[i].bytes, expected) << int{i};
  }
}

TEST_F(PcapFileTest, WhatIsBeyondTheSnapLengthIsCut) {
  PcapFile file = PcapFile::open(path_).value();
  auto payload = pattern(PcapFile::kSnapLength, 0);
  const std::array pieces{piece(payload, 0, 10), piece(payload, 10, payload.size() - 10)};
  file.frame(kTime, pattern(14, 9), pieces);
  file.frame(kTime, payload, {});
  file.flush();

  const Capture capture = read_capture(path_);
  ASSERT_EQ(capture.records.size(), 2u);
  EXPECT_EQ(capture.records[0].original, PcapFile::kSnapLength + 14);
  EXPECT_EQ(capture.records[0].bytes.size(), PcapFile::kSnapLength);
  EXPECT_EQ(capture.records[1].bytes, payload);
}

TEST_F(PcapFileTest, AFileThatCannotBeOpenedIsAnError) {
  const auto file = PcapFile::open("/nonexistent/directory/frames.pcap");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error(), (sys::SysError{sys::SysOp::kOpen, ENOENT}));
  EXPECT_EQ(PcapFile::open("/dev/full").error(), (sys::SysError{sys::SysOp::kWrite, ENOSPC}));
}

TEST_F(PcapFileTest, AWriteErrorIsToldOnceAndEndsTheCapture) {
  PcapFile file(UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  EXPECT_EQ(file.take_error(), std::nullopt);
  file.flush();
  EXPECT_EQ(file.take_error(), (sys::SysError{sys::SysOp::kWrite, ENOSPC}));
  EXPECT_EQ(file.take_error(), std::nullopt);
  file.frame(kTime, pattern(100, 0), {});
  file.flush();
  EXPECT_EQ(file.take_error(), std::nullopt);
}

}  // namespace
}  // namespace sluice::link
