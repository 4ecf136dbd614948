#include "forward/session/session_list.h"

#include <gtest/gtest.h>

namespace sluice::forward {
namespace {

struct Some {
  std::uint64_t number = 0;
  bool lives = true;
};

std::optional<SessionRecord> record_of(const Some& one) {
  if (!one.lives) return std::nullopt;
  SessionRecord record;
  record.number = one.number;
  return record;
}

TEST(SessionList, PagesHaveEachOnce) {
  Slab<Some> sessions;
  std::vector<SlabHandle> handles;
  for (std::uint64_t i = 0; i < 200; ++i) handles.push_back(sessions.emplace(Some{i}));
  for (std::size_t i = 0; i < handles.size(); i += 3) sessions.erase(handles[i]);
  sessions.find(handles[1])->lives = false;
  std::vector<std::uint64_t> seen;
  for (std::uint32_t from = 0; from != kNoMoreSessions;) {
    std::vector<SessionRecord> page;
    from = list_sessions(sessions, {.from = from, .most = 7}, page, record_of);
    EXPECT_LE(page.size(), 7U);
    for (const SessionRecord& record : page) seen.push_back(record.number);
  }
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 2; i < 200; ++i) {
    if (i % 3 != 0) expected.push_back(i);
  }
  EXPECT_EQ(seen, expected);
}

TEST(SessionList, FindsOneByItsNumber) {
  Slab<Some> sessions;
  (void)sessions.emplace(Some{1});
  const SlabHandle two = sessions.emplace(Some{2});
  const auto numbered = [&](std::uint64_t number) {
    return session_numbered(sessions, [&](const Some& one) { return one.number == number; });
  };
  EXPECT_EQ(numbered(2), two);
  EXPECT_FALSE(numbered(3).valid());
}

}  // namespace
}  // namespace sluice::forward
