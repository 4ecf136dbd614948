#include "box/guest/control_message.h"

#include <gtest/gtest.h>

namespace sluice::box {
namespace {

Setup full_setup() {
  Setup setup;
  setup.command = {"sh", "-c", "exit 7", ""};
  setup.environment = {"PATH=/bin", "EMPTY="};
  setup.directory = "/home/user";
  setup.directory_required = true;
  setup.uid = 1000;
  setup.gid = 1001;
  setup.groups = {4, 27};
  setup.terminal = Window{24, 80};
  setup.error_place = ErrorPlace::kTerminal;
  setup.umask = 077;
  setup.descriptor_limit = 1024;
  setup.overlay_bytes = 1ULL << 40;
  setup.clock_ns = 1'795'000'000'123'456'789;
  setup.host_name = "box";
  setup.network.interface = "eth7";
  setup.network.addresses = {{wire::IpAddress::v4(0x0a00020f), 24}, {wire::IpAddress(), 64}};
  setup.network.gateways = {wire::IpAddress::v4(0x0a000202)};
  setup.network.mtu = 65520;
  setup.network.queue_pairs = 2;
  setup.files = {{"/etc/hosts", std::string("a\0b\n", 4)}};
  setup.shares = {{"share0", "/data", true}, {"share1", "/more", false}};
  return setup;
}

template <typename Message>
std::expected<std::optional<Message>, std::string> read(const std::vector<std::uint8_t>& bytes) {
  MessageReader<Message> reader;
  reader.push(bytes);
  return reader.next();
}

template <typename Message>
void expect_same(const Message& message) {
  const auto again = read<Message>(emit(message));
  ASSERT_TRUE(again.has_value()) << again.error();
  ASSERT_TRUE(again->has_value());
  EXPECT_TRUE(**again == message) << message.index();
}

TEST(ControlMessage, EachIsReadAsItWasWritten) {
  for (const HostMessage& message :
       {HostMessage(full_setup()), HostMessage(InputEnd{1ULL << 33}), HostMessage(OutputClosed{2}),
        HostMessage(SendSignal{15}), HostMessage(Window{50, 132}), HostMessage(PowerOff{})}) {
    expect_same(message);
  }
  for (const GuestMessage& message :
       {GuestMessage(Stage{"root", 12'345}), GuestMessage(Started{}), GuestMessage(Stopped{20}),
        GuestMessage(OutputEnd{1, 8}), GuestMessage(Warned{"mount", 19, "none"}),
        GuestMessage(Failed{127, "nothing", 2, ""}), GuestMessage(Exited{137, 1ULL << 40, 3})}) {
    expect_same(message);
  }
}

TEST(ControlMessage, BytesAreTheSameEverywhere) {
  EXPECT_EQ(emit(HostMessage(Window{0x0102, 3})),
            (std::vector<std::uint8_t>{5, 0, 0, 0, 5, 0x02, 0x01, 3, 0}));
  EXPECT_EQ(emit(GuestMessage(Stopped{19})), (std::vector<std::uint8_t>{2, 0, 0, 0, 67, 19}));
}

TEST(ControlMessage, NoTruncationIsAMessage) {
  const std::vector<std::uint8_t> whole = emit(HostMessage(full_setup()));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // As a stream that goes on, and as a message that says it is that short.
    std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<long>(size));
    const auto waiting = read<HostMessage>(part);
    ASSERT_TRUE(waiting.has_value() && !waiting->has_value()) << size;
    if (size < 5) continue;
    part[0] = static_cast<std::uint8_t>(size - 4);
    part[1] = static_cast<std::uint8_t>((size - 4) >> 8);
    EXPECT_FALSE(read<HostMessage>(part).has_value()) << size;
  }
}

TEST(ControlMessage, SeveralComeInPieces) {
  std::vector<std::uint8_t> bytes = emit(GuestMessage(Stage{"modules", 1}));
  const std::vector<std::uint8_t> second = emit(GuestMessage(Started{}));
  bytes.insert(bytes.end(), second.begin(), second.end());
  GuestMessageReader reader;
  std::vector<GuestMessage> read;
  for (const std::uint8_t byte : bytes) {
    reader.push(ByteView(&byte, 1));
    const auto next = reader.next();
    ASSERT_TRUE(next.has_value());
    if (*next) read.push_back(**next);
  }
  EXPECT_TRUE(read == (std::vector<GuestMessage>{Stage{"modules", 1}, Started{}}));
}

TEST(ControlMessage, WhatIsNoneEndsTheStream) {
  const std::vector<std::vector<std::uint8_t>> none = {
      {0, 0, 0, 0, 1},                               // No kind.
      {0xff, 0xff, 0xff, 0xff, 66},                  // Longer than any.
      {1, 0, 1, 0, 66},                              // Longer than a guest's.
      {1, 0, 0, 0, 200},                             // No such kind.
      {1, 0, 0, 0, 6},                               // The host's kind.
      {2, 0, 0, 0, 66, 0},                           // Something behind it.
      {10, 0, 0, 0, 68, 3, 0, 0, 0, 0, 0, 0, 0, 0},  // A stream that there is not.
  };
  for (const auto& bytes : none) {
    GuestMessageReader reader;
    reader.push(bytes);
    EXPECT_FALSE(reader.next().has_value()) << int{bytes[4]};
    reader.push(emit(GuestMessage(Started{})));
    EXPECT_FALSE(reader.next().has_value()) << "nothing is heard behind it";
  }
}

TEST(ControlMessage, ASetupWithoutACommandIsNone) {
  EXPECT_FALSE(read<HostMessage>(emit(HostMessage(box::Setup{}))).has_value());
}

TEST(ControlMessage, WordsOfAGuestAreFitForATerminal) {
  const auto shown = [](const std::string& text) {
    const auto message = read<GuestMessage>(emit(GuestMessage(Failed{125, text, 5, text})));
    const Failed& failed = std::get<Failed>(**message);
    EXPECT_EQ(failed.step, failed.hint);
    return failed.step;
  };
  EXPECT_EQ(shown("plain, \xc3\xa4"), "plain, \xc3\xa4");
  EXPECT_EQ(shown("\x1b]0;title\x07\n\x7f"), "?]0;title???");
  EXPECT_EQ(shown("\xc2\x9b"
                  "31m"),
            "\xc2?31m")
      << "the same by one character of UTF-8";
  EXPECT_EQ(shown(std::string(30'000, 'x')).size(), 500U);
  const auto stage = read<GuestMessage>(emit(GuestMessage(Stage{"\r", 1})));
  EXPECT_EQ(std::get<Stage>(**stage).name, "?");
}

}  // namespace
}  // namespace sluice::box
