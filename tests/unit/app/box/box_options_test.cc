#include "app/box/box_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::app {
namespace {

using Words = std::vector<const char*>;
using Command = std::vector<std::string>;

BoxOptions options(const Words& words) {
  auto parsed = parse_box_options(words, "/bin/bash");
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().text);
  return parsed ? *parsed : BoxOptions{};
}

// The message without who speaks and the way to help.
std::string mistake(const Words& words) {
  const auto parsed = parse_box_options(words, "/bin/bash");
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().exit_code, 2);
  const std::string& text = parsed.error().text;
  EXPECT_TRUE(text.starts_with("sluice box: ")) << text;
  return text.substr(12, text.find("; see '") - 12);
}

TEST(BoxOptions, DefaultsAreThoseOfRun) {
  const BoxOptions o = options({"true"});
  EXPECT_EQ(o.box.command, Command{"true"});
  EXPECT_EQ(wire::to_string(o.network.guest_v4), "10.0.2.15");
  EXPECT_EQ(wire::to_string(o.network.guest_v6), "fd00::15");
  EXPECT_EQ(o.network.mtu, 1500);
  EXPECT_EQ(o.box.interface, "eth0");
  EXPECT_EQ(o.box.root, "/");
  EXPECT_EQ(o.box.net_queues, 1);
  EXPECT_FALSE(o.cpus || o.memory || o.workers);
  EXPECT_FALSE(o.box.as_root || o.box.fetch_kernel);
  EXPECT_TRUE(o.box.shares.empty() && o.box.environment.empty() && o.box.workdir.empty());
}

TEST(BoxOptions, WithoutACommandTheShellIsStarted) {
  EXPECT_EQ(options({}).box.command, Command{"/bin/bash"});
  // Another system may lack this user's.
  EXPECT_EQ(options({"--root", "/srv/image"}).box.command, Command{"/bin/sh"});
  EXPECT_EQ(mistake({"--", ""}),
            "the command's name is empty; expected a program, as in 'sluice box -- make'");
}

TEST(BoxOptions, TheMachineIsAsItWasAskedFor) {
  const BoxOptions o = options({"--cpus", "2", "--memory", "300000000", "--kernel", "vmlinuz",
                                "--fetch-kernel", "--", "make", "--cpus", "9"});
  EXPECT_EQ(o.cpus, 2U);
  EXPECT_EQ(o.memory, std::uint64_t{144} << 21U);  // Whole units of 2 MiB.
  EXPECT_EQ(o.box.kernel, "vmlinuz");
  EXPECT_TRUE(o.box.fetch_kernel);
  EXPECT_EQ(o.box.command, (Command{"make", "--cpus", "9"}));
  EXPECT_EQ(mistake({"--cpus", "17"}), "--cpus: '17' is out of range; expected 1 to 16");
  EXPECT_EQ(mistake({"--memory", "1MiB"}),
            "--memory: '1MiB' is out of range; expected 128MiB to 1TiB");
  EXPECT_EQ(mistake({"--kernel", ""}), "--kernel: the name of the file is empty");
}

TEST(BoxOptions, MachinesAreAsLargeAsTheirHostAllows) {
  EXPECT_EQ(default_cpus(0), 1U);
  EXPECT_EQ(default_cpus(3), 3U);
  EXPECT_EQ(default_cpus(64), 4U);
  EXPECT_EQ(default_memory(std::uint64_t{64} << 30U), std::uint64_t{1} << 30U);
  EXPECT_EQ(default_memory(std::uint64_t{1} << 30U), std::uint64_t{512} << 20U);
  EXPECT_EQ(default_memory(0), kBoxMemoryMin);
}

TEST(BoxOptions, SharesAreFoldersWithAPlaceAndAMode) {
  const auto share = [](std::string_view text) {
    const auto parsed = parse_share(text);
    if (!parsed) return parsed.error().text;
    return parsed->path + " " + parsed->target + (parsed->writable ? " rw" : " ro");
  };
  EXPECT_EQ(share("."), ". . ro");
  EXPECT_EQ(share(".:rw"), ". . rw");
  EXPECT_EQ(share("/a:/b"), "/a /b ro");
  EXPECT_EQ(share("a:/b:ro"), "a /b ro");
  EXPECT_EQ(share("/a:/b:rw"), "/a /b rw");
  EXPECT_EQ(share(""),
            "--share: '' is no folder to share; expected PATH, PATH:rw or "
            "PATH:TARGET:rw");
  EXPECT_TRUE(share(":/b").starts_with("--share: ':/b' is no folder"));
  EXPECT_TRUE(share("/a:/b:/c").starts_with("--share: '/a:/b:/c' is no folder"));
  EXPECT_EQ(share("/a:b"), "--share: 'b' is no absolute path in the machine; expected one as /src");
  EXPECT_EQ(options({"--share", "/a", "--share", "/b:rw", "true"}).box.shares.size(), 2U);
  Words many;
  for (std::size_t i = 0; i <= serve::BoxPlan::kSharesMax; ++i) {
    many.push_back("--share");
    many.push_back("/a");
  }
  EXPECT_EQ(mistake(many), "--share: '/a' is one too many; expected 12 at most");
}

TEST(BoxOptions, TheCommandHasVariablesAndAPlace) {
  const BoxOptions o =
      options({"-e", "A=1", "--env", "B=", "--workdir", "/src", "--as-root", "--pid", "env"});
  EXPECT_EQ(o.box.environment, (Command{"A=1", "B="}));
  EXPECT_EQ(o.box.workdir, "/src");
  EXPECT_TRUE(o.box.as_root);
  EXPECT_EQ(mistake({"--env", "A"}), "--env: 'A' sets nothing; expected NAME=VALUE");
  EXPECT_EQ(mistake({"--env", "=1"}), "--env: '=1' sets nothing; expected NAME=VALUE");
  EXPECT_EQ(mistake({"--workdir", "src"}),
            "--workdir: 'src' is no absolute path; expected one as /src, in the machine");
}

TEST(BoxOptions, EachWorkerHasAPairOfQueues) {
  EXPECT_EQ(options({"--workers", "3", "true"}).box.net_queues, 3);
  const BoxOptions o = options({"--net-queues", "4", "--workers", "2", "true"});
  EXPECT_EQ(o.box.net_queues, 4);
  EXPECT_EQ(o.workers, 2U);
  EXPECT_FALSE(options({"--net-queues", "4", "true"}).workers);
  EXPECT_EQ(mistake({"--net-queues", "2", "--workers", "3"}),
            "--workers: '3' are more than the machine has pairs of queues; expected 1 to 2, or "
            "--net-queues 3");
  EXPECT_EQ(mistake({"--net-queues", "0"}), "--net-queues: '0' is out of range; expected 1 to 16");
}

TEST(BoxOptions, LinesOfRunAreUnderstood) {
  const BoxOptions o = options({"--fast-path", "auto", "--fast-path=off", "--interface", "tap0",
                                "--mtu", "9000", "--deny", "0.0.0.0/0", "true"});
  EXPECT_EQ(o.box.interface, "tap0");
  EXPECT_EQ(o.network.mtu, 9000);
  EXPECT_EQ(o.policy.rules.size(), 1U);
  EXPECT_EQ(mistake({"--fast-path=require"}),
            "--fast-path: 'require' cannot be had of a machine, whose kernel is not this one; "
            "expected auto or off, or 'sluice run'");
  EXPECT_TRUE(mistake({"--fast-path", "on"}).starts_with("--fast-path: 'on' is unknown"));
  EXPECT_TRUE(mistake({"--interface", "a/b"}).starts_with("--interface: 'a/b' cannot name"));
}

}  // namespace
}  // namespace sluice::app
