#include "clients/transfer.h"

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "clients/transfer_session.h"

namespace sluice::bench {
namespace {

std::vector<char> bytes_of(const Stream& stream, std::uint64_t offset, std::size_t size) {
  std::vector<char> out(size);
  stream.fill(offset, out);
  return out;
}

TEST(Stream, AnyOffsetAndLengthAreTheSameBytes) {
  const Stream stream(9);
  const std::vector<char> whole = bytes_of(stream, 0, 200'000);
  for (const std::size_t offset : {0u, 1u, 7u, 8u, 65'531u, 65'536u, 131'071u}) {
    for (const std::size_t size : {1u, 7u, 8u, 9u, 4096u, 66'000u}) {
      const std::vector<char> part = bytes_of(stream, offset, size);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<long>(offset)))
          << size << " at " << offset;
      EXPECT_EQ(stream.first_difference(offset, part), std::nullopt);
    }
  }
}

TEST(Stream, EveryChangedByteIsFound) {
  const Stream stream(9);
  std::vector<char> bytes = bytes_of(stream, 65'000, 1100);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
    EXPECT_EQ(stream.first_difference(65'000, bytes), 65'000 + i);
    bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
  }
}

TEST(Stream, MovedBytesAndOtherSeedsAreFound) {
  const Stream stream(9);
  const std::vector<char> bytes = bytes_of(stream, 0, 65'536);
  for (const std::uint64_t moved : {1u, 8u, 64u, 65'536u, 131'072u}) {
    EXPECT_NE(stream.first_difference(moved, bytes), std::nullopt) << moved;
  }
  EXPECT_NE(Stream(10).first_difference(0, bytes), std::nullopt);
}

TEST(StreamHash, DoesNotDependOnThePieces) {
  const std::vector<char> bytes = bytes_of(Stream(3), 0, 1000);
  StreamHash whole;
  whole.add(bytes);
  for (const std::size_t piece : {1u, 3u, 63u, 64u, 65u, 500u}) {
    StreamHash parts;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      parts.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    EXPECT_EQ(parts.value(), whole.value()) << piece;
  }
}

TEST(StreamHash, DependsOnEveryByteAndOnTheLength) {
  std::vector<char> bytes = bytes_of(Stream(3), 0, 300);
  StreamHash original;
  original.add(bytes);
  for (char& byte : bytes) {
    byte = static_cast<char>(byte ^ 1);
    StreamHash changed;
    changed.add(bytes);
    EXPECT_NE(changed.value(), original.value());
    byte = static_cast<char>(byte ^ 1);
  }
  StreamHash longer = original;
  const char zero = 0;
  longer.add({&zero, 1});
  EXPECT_NE(longer.value(), original.value());
}

TEST(TransferRequest, RoundTripAndNonsense) {
  const auto request = parse_request("transfer both 12 345");
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(format_request(*request), "transfer both 12 345\n");
  for (const char* line : {"", "transfer", "transfer up 1 2", "transfer in 1", "transfer in 1 2 3",
                           "run 5", "transfer in x 2"}) {
    EXPECT_EQ(parse_request(line), std::nullopt) << line;
  }
}

TEST(TransferTotals, RoundTrip) {
  const TransferTotals totals{
      .received = 1, .received_hash = 2, .sent = 3, .sent_hash = 4, .wrong = 5};
  const auto parsed = parse_totals(format_totals(totals));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(format_totals(*parsed), format_totals(totals));
  EXPECT_EQ(parse_totals("done 1 2"), std::nullopt);
}

// The server's end over a socket pair: `sent` is all the client says before its half-close.
std::string served(const std::string& sent) {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  const UniqueFd client(ends[0]);
  UniqueFd server(ends[1]);
  EXPECT_EQ(::send(client.get(), sent.data(), sent.size(), 0), static_cast<ssize_t>(sent.size()));
  ::shutdown(client.get(), SHUT_WR);
  TransferSession session(server.get());
  std::vector<char> scratch(1000);
  while (session.step(session.wanted(), scratch)) {
  }
  server.reset();
  std::string got(100'000, '\0');
  const ssize_t size = ::recv(client.get(), got.data(), got.size(), 0);
  got.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return got;
}

std::string stream_text(std::uint64_t seed, std::size_t size) {
  const std::vector<char> bytes = bytes_of(Stream(seed), 0, size);
  return {bytes.begin(), bytes.end()};
}

TransferTotals totals_at_end(const std::string& answer) {
  const auto totals = parse_totals(answer.substr(answer.rfind("done ")));
  EXPECT_TRUE(totals.has_value());
  return totals.value_or(TransferTotals{});
}

TEST(TransferSession, EveryDirection) {
  const std::string out = stream_text(5, 3000);
  const std::string in = stream_text(6, 3000);
  EXPECT_EQ(totals_at_end(served("transfer out 3000 5\n" + out)).wrong, -1);
  EXPECT_TRUE(served("transfer in 3000 5\n").starts_with(in + "done 0 "));
  const std::string both = served("transfer both 3000 5\n" + out);
  EXPECT_TRUE(both.starts_with(in + "done 3000 "));
  EXPECT_EQ(totals_at_end(both).wrong, -1);
  EXPECT_TRUE(served("transfer back 5 0\nhello").starts_with("hellodone 5 "));
}

TEST(TransferSession, WrongShortAndLongStreamsAreNamed) {
  std::string out = stream_text(5, 3000);
  EXPECT_EQ(totals_at_end(served("transfer out 3000 5\n" + out.substr(0, 2999))).wrong, 2999);
  EXPECT_EQ(totals_at_end(served("transfer out 2000 5\n" + out)).wrong, 2000);
  EXPECT_EQ(totals_at_end(served("transfer in 10 5\nx")).wrong, 0);
  out[1234] = static_cast<char>(out[1234] ^ 1);
  EXPECT_EQ(totals_at_end(served("transfer out 3000 5\n" + out)).wrong, 1234);
}

TEST(TransferSession, NonsenseIsClosed) {
  EXPECT_EQ(served("GET / HTTP/1.1\n"), "");
  EXPECT_EQ(served(std::string(200, 'x')), "");
  EXPECT_EQ(served(""), "");
}

}  // namespace
}  // namespace sluice::bench
