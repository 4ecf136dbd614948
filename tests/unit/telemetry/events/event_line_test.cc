// The lines of the stream, and docs/events.md, which shows each of them.
#include "telemetry/events/event_line.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using Time = std::chrono::system_clock::time_point;

constexpr Time kNoon{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h};

std::string line_of(std::uint64_t sequence, Duration at, const Event& event,
                    std::string_view run = "k3f9wa") {
  fmt::memory_buffer out;
  const EventHead head{sequence, kNoon + std::chrono::duration_cast<Time::duration>(at), run};
  append_event(out, head, event);
  return fmt::to_string(out);
}

FlowRecord sample() {
  FlowRecord flow;
  flow.guest = {wire::parse_ip("10.0.2.15").value(), wire::Port{40'000}};
  flow.peer = {wire::parse_ip("192.0.2.7").value(), wire::Port{443}};
  flow.name = "example.org";
  flow.opened = kNoon + 123'456us;
  flow.duration = 1'250ms;
  flow.bytes_to_host = 120;
  flow.bytes_to_guest = 5'300;
  flow.number = 0x00c0'ffee'00c0'ffee;
  flow.told = true;
  flow.rule = "--allow #1";
  flow.generation = 1;
  return flow;
}

policy::Question asked() {
  return {.id = 3,
          .subject = {.name = wire::DomainName::from_text("www.example.com"),
                      .address = wire::parse_ip("198.18.0.1").value(),
                      .port = {443}},
          .domain = "example.com",
          .rule = "default",
          .count = 1,
          .waiters = {{}}};
}

// One of each type, in the order of the document.
std::vector<std::string> one_of_each() {
  std::vector<std::string> lines;
  lines.push_back(line_of(1, 0s, StartEvent{.program = "sluice run", .version = "0.1.0"}));
  FlowRecord flow = sample();
  flow.opening = true;
  lines.push_back(line_of(2, 123'456us, FlowEvent{flow}));
  flow = sample();
  flow.path = FlowPath::kKernel;
  lines.push_back(line_of(3, 1'373'456us, FlowEvent{flow}));
  flow = sample();
  flow.protocol = policy::Protocol::kUdp;
  flow.name = {};
  flow.peer = {wire::parse_ip("192.0.2.8").value(), wire::Port{53}};
  flow.opened = kNoon + 2s;
  flow.duration = {};
  flow.bytes_to_host = flow.bytes_to_guest = 0;
  flow.verdict = policy::Verdict::kAddressUnlisted;
  flow.outcome = policy::Outcome::kNotAccepted;
  flow.rule = "default";
  lines.push_back(line_of(4, 2s, FlowEvent{flow}));
  lines.push_back(line_of(5, 3s,
                          LeftOutEvent{.type = EventType::kLimit,
                                       .verdict = policy::Verdict::kTooManyNewFlows,
                                       .count = 81'000}));
  lines.push_back(line_of(6, 3s,
                          PolicyEvent{.by = "ctl",
                                      .change = "deny example.org",
                                      .fallback = policy::Effect::kDeny,
                                      .rules = 3,
                                      .generation = 2}));
  flow = sample();
  flow.rule = "ctl #2";
  flow.generation = 2;
  flow.duration = 3'876'544us;
  flow.verdict = policy::Verdict::kRevoked;
  flow.outcome = policy::Outcome::kNotAccepted;
  lines.push_back(line_of(7, 4s, FlowEvent{flow}));
  lines.push_back(line_of(8, 4s,
                          QueryEvent{.name = "example.net",
                                     .type = wire::DnsType::kAaaa,
                                     .source = "cache",
                                     .addresses = 2,
                                     .rule = "--allow #2",
                                     .generation = 2}));
  lines.push_back(line_of(9, 4s,
                          QueryEvent{.name = "telemetry.example",
                                     .type = wire::DnsType::kA,
                                     .result = QueryResult::kRefused,
                                     .source = "sluice",
                                     .verdict = policy::Verdict::kNameUnlisted,
                                     .rule = "default",
                                     .generation = 2}));
  lines.push_back(line_of(10, 4s,
                          GateEvent{.flow = flow.number,
                                    .guest = flow.guest,
                                    .peer = flow.peer,
                                    .kind = "tls",
                                    .name = "other.example",
                                    .verdict = policy::Verdict::kServerNameMismatch,
                                    .rule = "default",
                                    .generation = 2}));
  const policy::Question question = asked();
  lines.push_back(line_of(11, 4'500ms, AskEvent{question}));
  lines.push_back(line_of(12, 4'750ms,
                          DecisionEvent{.question = question,
                                        .result = "approved",
                                        .scope = "run",
                                        .breadth = "name:port",
                                        .rule = "allow www.example.com:443/tcp",
                                        .by = "ctl",
                                        .flows = 1}));
  fmt::memory_buffer lost;
  append_lost(lost, {17, kNoon + 5s, "k3f9wa"}, 5);
  lines.push_back(fmt::to_string(lost));
  lines.push_back(line_of(18, 6s, EndEvent{.status = 0, .events_lost = 5}));
  return lines;
}

// What a forwarder has besides.
std::vector<std::string> of_a_forwarder() {
  std::vector<std::string> lines;
  const std::string_view run = "m4x7qe";
  const ForwardedFlow forwarded{.listen = "tcp://:8080", .target = "tcp://10.0.0.2:80"};
  FlowRecord flow;
  flow.direction = FlowDirection::kInbound;
  flow.guest = {wire::parse_ip("10.0.0.2").value(), wire::Port{80}};
  flow.peer = {wire::parse_ip("192.0.2.9").value(), wire::Port{50'000}};
  flow.opened = kNoon + 123'456us;
  flow.number = 0x00c0'ffee'00c0'ffee;
  flow.rule = "web";
  flow.generation = 1;
  flow.path = FlowPath::kRelay;
  flow.forwarded = &forwarded;
  flow.opening = true;
  lines.push_back(line_of(2, 123'456us, FlowEvent{flow}, run));
  flow.opening = false;
  flow.duration = 1'250ms;
  flow.bytes_to_host = 5'300;
  flow.bytes_to_guest = 120;
  lines.push_back(line_of(3, 1'373'456us, FlowEvent{flow}, run));
  lines.push_back(
      line_of(4, 2s, ReloadEvent{.by = "ctl", .rules = 2, .opened = 1, .generation = 2}, run));
  lines.push_back(line_of(
      5, 3s,
      ReloadEvent{
          .by = "file", .error = "rules.toml:3: 'listen' is missing", .rules = 2, .generation = 2},
      run));
  return lines;
}

std::string document() {
  const std::ifstream file(std::filesystem::path(SLUICE_ROOT) / "docs/events.md");
  EXPECT_TRUE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(EventLine, ARoundTripIsToldWhereItIsKnown) {
  const auto told = [](const FlowRecord& flow) {
    fmt::memory_buffer out;
    JsonLine line(out);
    add_flow(line, flow);
    line.end_line();
    return fmt::to_string(out);
  };
  FlowRecord flow = sample();
  EXPECT_EQ(told(flow).find("rtt_s"), std::string::npos);
  flow.round_trip = 12'345us;
  EXPECT_NE(told(flow).find("\"rtt_s\":0.012345"), std::string::npos) << told(flow);
}

TEST(EventLine, TheDocumentShowsEachAsItIsWritten) {
  std::string examples;
  for (const std::string& line : one_of_each()) examples += line;
  EXPECT_NE(document().find("```json\n" + examples + "```\n"), std::string::npos) << examples;
  examples.clear();
  for (const std::string& line : of_a_forwarder()) examples += line;
  EXPECT_NE(document().find("```json\n" + examples + "```\n"), std::string::npos) << examples;
}

TEST(EventLine, AForwarderThatKnowsNoTargetSaysSo) {
  const ForwardedFlow forwarded{.listen = "unix:/run/x.sock", .target = {}};
  FlowRecord flow;
  flow.verdict = policy::Verdict::kDeniedByPolicy;
  flow.outcome = policy::Outcome::kNotAccepted;
  flow.forwarded = &forwarded;
  const auto json = nlohmann::json::parse(line_of(1, 0s, FlowEvent{flow}));
  EXPECT_TRUE(json["guest"].is_null());
  EXPECT_TRUE(json["target"].is_null());
  EXPECT_EQ(json["listen"], "unix:/run/x.sock");
  EXPECT_EQ(json["type"], "deny");
}

TEST(EventLine, TheDocumentKnowsEveryMemberTypeAndReason) {
  const std::string text = document();
  std::set<std::string> words;
  std::vector<std::string> lines = one_of_each();
  for (std::string& line : of_a_forwarder()) lines.push_back(std::move(line));
  for (const std::string& line : lines) {
    const auto json = nlohmann::json::parse(line);
    words.insert(json["type"].get<std::string>());
    for (const auto& [key, value] : json.items()) words.insert(key);
  }
  for (std::size_t i = 0; i < kEventTypeCount; ++i) {
    EXPECT_TRUE(words.contains(std::string(to_string(static_cast<EventType>(i)))));
  }
  for (std::size_t i = 0; i < policy::kVerdictCount; ++i) {
    words.emplace(policy::reason_id(static_cast<policy::Verdict>(i)));
    words.emplace(policy::decided_by(static_cast<policy::Verdict>(i)));
  }
  for (const std::string& word : words) {
    EXPECT_NE(text.find('`' + word + '`'), std::string::npos) << word;
  }
}

TEST(EventLine, NamesOfAnyBytesStayOneLineThatATerminalMayShow) {
  const std::string wild =
      std::string("\x1b[2J\x1b]0;owned\x07\r\n\0\"\\", 18) + "\xc2\x9b" + "\xff";
  FlowRecord flow = sample();
  flow.name = wild;
  const std::string line = line_of(1, 0s, FlowEvent{flow});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  for (const char c : line.substr(0, line.size() - 1)) {
    EXPECT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
  }
  const auto json = nlohmann::json::parse(line);
  EXPECT_TRUE(json["name"].get<std::string>().starts_with("\\027[2J\\027]0;owned\\007\\013\\010"));
}

TEST(EventLine, NamesAreCutAndALineIsBounded) {
  const std::string huge(4'096, '\x01');
  FlowRecord flow = sample();
  flow.name = huge;
  const std::string line = line_of(1, 0s, FlowEvent{flow});
  const auto name = nlohmann::json::parse(line)["name"].get<std::string>();
  EXPECT_EQ(name.size(), kNameShown * 4 + 3);
  EXPECT_TRUE(name.ends_with("\\001..."));
  EXPECT_LT(line.size(), 2'048U);
}

TEST(EventLine, AnEndIsOfTheTypeThatItsVerdictHas) {
  EXPECT_EQ(type_of_end(policy::Verdict::kAccepted), EventType::kClose);
  EXPECT_EQ(type_of_end(policy::Verdict::kNameUnlisted), EventType::kDeny);
  EXPECT_EQ(type_of_end(policy::Verdict::kServerNameMismatch), EventType::kDeny);
  EXPECT_EQ(type_of_end(policy::Verdict::kAskNobody), EventType::kDeny);
  EXPECT_EQ(type_of_end(policy::Verdict::kQuota), EventType::kLimit);
  EXPECT_EQ(type_of_end(policy::Verdict::kTooManyFlows), EventType::kLimit);
  EXPECT_EQ(type_of_end(policy::Verdict::kKilled), EventType::kRevoke);
}

}  // namespace
}  // namespace sluice::telemetry
