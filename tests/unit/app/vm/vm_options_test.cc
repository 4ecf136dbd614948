#include "app/vm/vm_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::app {
namespace {

using link::FrameSocketKind;

[[nodiscard]] std::expected<VmOptions, EarlyExit> parse(std::vector<const char*> words) {
  return parse_vm_options(words);
}
// The message without who speaks and the way to help.
[[nodiscard]] std::string mistake(std::vector<const char*> words) {
  const auto options = parse(std::move(words));
  if (options) return "accepted";
  EXPECT_EQ(options.error().exit_code, 2);
  const std::string& text = options.error().text;
  EXPECT_TRUE(text.starts_with("sluice vm: ")) << text;
  return text.substr(11, text.find("; see '") - 11);
}

TEST(VmOptions, EachKindOfSocketHasItsOption) {
  const std::vector<std::pair<const char*, FrameSocketKind>> kinds{
      {"--socket", FrameSocketKind::kStream},
      {"--datagram", FrameSocketKind::kDatagram},
      {"--seqpacket", FrameSocketKind::kSeqpacket}};
  for (const auto& [option, kind] : kinds) {
    const auto options = parse({option, "/run/vm.sock"});
    ASSERT_TRUE(options.has_value());
    const auto* place = std::get_if<serve::MachineSocketPath>(&options->machine.link);
    ASSERT_NE(place, nullptr);
    EXPECT_EQ(place->kind, kind);
    EXPECT_EQ(place->path, "/run/vm.sock");
    EXPECT_EQ(options->machine.guests, link::Guests::kOneAfterAnother);
    EXPECT_EQ(options->network.mtu, kind == FrameSocketKind::kStream ? 65'520 : 1500);
  }
  const auto options = parse({"--fd", "5", "--one-off"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(std::get<serve::MachineDescriptor>(options->machine.link).fd, 5);
  EXPECT_EQ(options->machine.guests, link::Guests::kOnlyOne);
}

TEST(VmOptions, SharedMemoryHasQueues) {
  const auto plain = parse({"--vhost-user", "/run/vm.sock"});
  ASSERT_TRUE(plain.has_value());
  const auto& link = std::get<serve::MachineVhostUser>(plain->machine.link);
  EXPECT_EQ(link.path, "/run/vm.sock");
  EXPECT_EQ(link.queues, 1);
  EXPECT_EQ(plain->network.mtu, 1500);
  const auto connects = parse({"--vhost-user-connect", "s"});
  ASSERT_TRUE(connects.has_value());
  EXPECT_EQ(std::get<serve::MachineVhostUser>(connects->machine.link).role,
            serve::MachineVhostUser::Role::kConnect);
  const auto more = parse({"--vhost-user", "s", "--queues", "4", "--one-off"});
  ASSERT_TRUE(more.has_value());
  EXPECT_EQ(std::get<serve::MachineVhostUser>(more->machine.link).queues, 4);
}

TEST(VmOptions, ItsNumberGoesToAFile) {
  const auto options = parse({"--socket", "s", "--pid-file", "/run/vm.pid"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->machine.pid_file, "/run/vm.pid");
  EXPECT_EQ(mistake({"--socket", "s", "--pid-file", ""}),
            "--pid-file: the name of the file is empty");
}

TEST(VmOptions, EachWorkerHasAQueue) {
  EXPECT_EQ(parse({"--vhost-user", "s", "--queues", "4"})->workers, std::nullopt);
  EXPECT_EQ(parse({"--vhost-user", "s", "--queues", "4", "--workers", "3"})->workers, 3U);
  EXPECT_EQ(parse({"--socket", "s", "--workers", "1"})->workers, 1U);
  EXPECT_EQ(mistake({"--socket", "s", "--workers", "2"}),
            "--workers: a socket is served by one; expected 1, or --vhost-user");
  EXPECT_EQ(mistake({"--vhost-user", "s", "--queues", "2", "--workers", "3"}),
            "--workers: '3' are more than the machine has pairs of queues; expected 1 to 2, or "
            "--queues 3");
  EXPECT_TRUE(mistake({"--vhost-user", "s", "--workers", "0"}).ends_with("expected 1 to 16"));
}

TEST(VmOptions, WhatIsAskedOfAGuestIsAskedAsRunDoes) {
  const auto options =
      parse({"--socket", "s", "--mtu", "9000", "-p", "8080:80", "--deny", "192.0.2.0/24",
             "--report", "--pcap", "f.pcap", "-4", "--address", "192.0.2.7/28"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->network.mtu, 9000);
  EXPECT_FALSE(options->network.ipv6);
  EXPECT_TRUE(options->chosen_v4);
  EXPECT_EQ(options->publish.size(), 1U);
  EXPECT_EQ(options->policy.rules.size(), 1U);
  EXPECT_EQ(options->pcap, "f.pcap");
  EXPECT_EQ(options->report, telemetry::ReportFormat::kText);
}

TEST(VmOptions, MistakesSayWhatWasExpected) {
  EXPECT_TRUE(mistake({}).starts_with("nothing says by what the machine's frames come; expected"));
  EXPECT_EQ(mistake({"--socket", "a", "--fd", "3"}),
            "--socket and --fd exclude each other: a machine has one link");
  EXPECT_EQ(mistake({"--fd", "x"}), "--fd: 'x' is not a number; expected 0 to 2147483647");
  EXPECT_TRUE(mistake({"--datagram", "a", "--one-off"}).starts_with("--one-off: nothing tells"));
  EXPECT_EQ(mistake({"--socket", "a", "--vhost-user", "b"}),
            "--socket and --vhost-user exclude each other: a machine has one link");
  EXPECT_TRUE(mistake({"--socket", "a", "--queues", "2"}).starts_with("--queues: only a machine"));
  EXPECT_TRUE(mistake({"--vhost-user", "a", "--queues", "17"}).ends_with("expected 1 to 16"));
  const std::string long_path(108, 'p');
  EXPECT_TRUE(mistake({"--socket", long_path.c_str()}).ends_with("expected at most 107 bytes"));
  EXPECT_TRUE(mistake({"--socket", "a", "qemu"}).starts_with("'qemu' is no option; expected"));
  EXPECT_EQ(mistake({"--sokket", "a"}), "unknown option '--sokket'; did you mean '--socket'?");
  EXPECT_EQ(mistake({"--socket", "a", "--mtu", "1200"}),
            "--mtu: '1200' is too small for IPv6; expected 1280 to 65520, or -4");
}

TEST(VmOptions, HelpTeaches) {
  const auto options = parse({"--help"});
  ASSERT_FALSE(options.has_value());
  EXPECT_EQ(options.error().exit_code, 0);
  EXPECT_NE(options.error().text.find("-netdev stream"), std::string::npos);
}

}  // namespace
}  // namespace sluice::app
