#include "control/connection.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "control/control_server.h"

namespace sluice::control {
namespace {

class Nothing final : public Controlled {
 public:
  void on_request(const Request& /*request*/, Answer& answer) override { answer.done(); }
  void on_listeners(bool /*any*/) override {}
};

TEST(ControlConnection, ARunThatIsNotThereIsNamed) {
  const auto run = Connection::open("nobody");
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error(), "there is no run 'nobody'");
  EXPECT_FALSE(Connection::open(std::string(200, 'x')).has_value());
}

TEST(ControlConnection, LinesGoBothWays) {
  const std::string name = fmt::format("c{}", ::getpid());
  auto server = ControlServer::open(sys::real_kernel(), name);
  ASSERT_TRUE(server.has_value());
  Nothing nothing;
  (*server)->serve(nothing, nullptr);
  auto run = Connection::open(name);
  ASSERT_TRUE(run.has_value());
  ASSERT_TRUE(run->send("{\"do\":\"status\"}\n{\"do\":\"subscribe\"}\n"));
  for (int i = 0; i < 3; ++i) (*server)->turn(Instant{});
  EXPECT_EQ(run->read_line().value_or(""), R"({"v":1,"id":0,"ok":true})");
  EXPECT_NE(run->read_line().value_or("").find("no-events"), std::string_view::npos);
  server->reset();
  const auto end = run->read_line();
  ASSERT_FALSE(end.has_value());
  EXPECT_EQ(end.error(), "the run has ended");
}

}  // namespace
}  // namespace sluice::control
