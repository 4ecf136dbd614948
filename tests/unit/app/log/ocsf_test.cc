#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "unit/app/log/golden_events.h"

namespace sluice::app {
namespace {

using test::SeenEvent;

TEST(Ocsf, IsAsTheFileBesideHasIt) {
  EXPECT_EQ(test::converted(ocsf_line), test::lines_in("ocsf.jsonl"));
}

TEST(Ocsf, AnythingThatIsNoUtf8IsStillJson) {
  SeenEvent event = test::ended_flow();
  event.name = event.reason = event.run = "\xff\x1b\n\"";
  const auto line = ocsf_line(event);
  ASSERT_TRUE(line.has_value());
  EXPECT_TRUE(nlohmann::json::accept(*line)) << *line;
  EXPECT_EQ(line->find('\n'), std::string::npos);
}

TEST(Ocsf, WhatIsOfNoFlowHasNoPlace) {
  for (const SeenEvent& event : test::placeless()) EXPECT_FALSE(ocsf_line(event).has_value());
}

}  // namespace
}  // namespace sluice::app
