#include "forward/sight/sight.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "unit/telemetry/events/checked_stream.h"
#include "unit/telemetry/lines.h"

namespace sluice::forward {
namespace {

using telemetry::test::CheckedStream;
using telemetry::test::lines_of;
using telemetry::test::TemporaryFile;

class Idle final : public Forwarder {
 public:
  Status status() const override { return {.state = "serving", .rules = rules}; }
  std::expected<ReloadDone, std::string> reload_by(std::string_view /*who*/) override {
    return ReloadDone{};
  }
  std::vector<std::shared_ptr<LiveRule>> rules;
};

SessionRecord session(SessionResult result) {
  Rule rule;
  rule.name = "web";
  rule.listen = {.host = "127.0.0.1", .port = 80};
  rule.targets = {{.place = {.host = "10.0.0.2", .port = 8080}}};
  SessionRecord record;
  record.rule =
      std::make_shared<LiveRule>(rule, policy::AccessList{}, std::make_shared<RuleCounters>());
  record.result = result;
  return record;
}

TEST(Sight, TellsWhatWorkersTellInOneStream) {
  const TemporaryFile file;
  auto worker = std::move(*Worker::create(sys::real_kernel(), {}));
  std::vector<Worker*> workers{worker.get()};
  Idle idle;
  auto sight = std::move(*Sight::open(sys::real_kernel(), file.path(), std::nullopt));
  sight->serve(idle, workers, "a test", Instant{});
  EXPECT_TRUE(worker->outbox().wanted());
  sight->on_start();
  for (std::size_t i = 0; i < SessionOutbox::kRecordsMax + 3; ++i) {
    worker->outbox().add(session(SessionResult::kClientClosed));
  }
  sight->turn(Instant{});
  worker->outbox().add(session(SessionResult::kDenied));
  sight->on_reload({.by = "signal", .rules = 1, .generation = 2});
  sight->end(0, Instant{});
  const std::vector<std::string> lines = lines_of(file.content());
  const CheckedStream stream(lines);
  EXPECT_EQ(stream.events + stream.lost, SessionOutbox::kRecordsMax + 3 + 4);
  EXPECT_GE(stream.lost, 3U);
  EXPECT_EQ(nlohmann::json::parse(lines.front())["type"], "start");
  EXPECT_EQ(nlohmann::json::parse(lines.back())["type"], "end");
}

TEST(Sight, NobodyWhoLooksCostsNothing) {
  auto worker = std::move(*Worker::create(sys::real_kernel(), {}));
  std::vector<Worker*> workers{worker.get()};
  Idle idle;
  auto sight = std::move(*Sight::open(sys::real_kernel(), "", std::nullopt));
  sight->serve(idle, workers, "a test", Instant{});
  EXPECT_FALSE(worker->outbox().wanted());
  EXPECT_EQ(sight->next_deadline(Instant{}), kNever);
}

TEST(Sight, AFileThatCannotBeWrittenEndsTheStart) {
  const auto sight = Sight::open(sys::real_kernel(), "/nowhere/at/all", std::nullopt);
  ASSERT_FALSE(sight.has_value());
  EXPECT_NE(sight.error().find("--events: cannot write '/nowhere/at/all'"), std::string::npos);
}

}  // namespace
}  // namespace sluice::forward
