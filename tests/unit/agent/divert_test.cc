#include "agent/divert.h"

#include <gtest/gtest.h>

#include "unit/agent/agent_guest.h"

namespace sluice::agent {
namespace {

constexpr std::array kBoth = {kV4, kV6};

DivertedConnection connection(wire::IpFamily family, unsigned number) {
  const wire::TcpSnapshot end = remote_end(family, number);
  return {end.peer, end.local};
}

// What `nft flush ruleset` does to the table, by a socket that is not its owner's.
int delete_table(wire::IpFamily family) {
  auto tables = netlink::NfTables::open();
  netlink::NfBatch batch;
  batch.delete_table(family, "sluice");
  const auto failures = tables->run(batch);
  return failures.empty() ? 0 : failures.front().error;
}

void with_divert(TableGuard guard, const std::function<void(Divert&)>& body) {
  in_guest([&](AgentGuest&) {
    auto divert = Divert::set_up(netlink::interface_index(AgentGuest::kTap).value(), kBoth, guard);
    ASSERT_TRUE(divert.has_value()) << divert.error().describe();
    body(*divert);
  });
}

TEST(Divert, HoldsConnectionsOfBothFamilies) {
  with_divert(TableGuard::kOwner, [](Divert& divert) {
    const std::array some{connection(kV4, 1), connection(kV6, 1), connection(kV4, 2)};
    EXPECT_EQ(divert.change({}, some), std::vector({0, 0, 0}));
    EXPECT_EQ(divert.size(), 3U);
    // Once more is no failure, nor is taking away what is not there.
    EXPECT_EQ(divert.change({}, std::span(some).first(1)), std::vector({0}));
    EXPECT_TRUE(divert.change(some, {}).empty());
    EXPECT_TRUE(divert.change(some, {}).empty());
    EXPECT_EQ(divert.size(), 0U);
    // Away and back in one transaction.
    EXPECT_EQ(divert.change({}, some), std::vector({0, 0, 0}));
    EXPECT_EQ(divert.change(some, some), std::vector({0, 0, 0}));
    EXPECT_EQ(divert.size(), 3U);
  });
}

TEST(Divert, FamilyThatIsNotThere) {
  in_guest([](AgentGuest&) {
    constexpr std::array kOne = {kV4};
    auto divert = Divert::set_up(netlink::interface_index(AgentGuest::kTap).value(), kOne);
    ASSERT_TRUE(divert.has_value()) << divert.error().describe();
    const std::array some{connection(kV6, 1), connection(kV4, 1)};
    EXPECT_EQ(divert->change({}, some), std::vector({EAFNOSUPPORT, 0}));
    EXPECT_EQ(delete_table(kV6), ENOENT);
  });
}

TEST(Divert, OwnedTableStaysOurs) {
  with_divert(TableGuard::kOwner, [](Divert& divert) {
    EXPECT_EQ(delete_table(kV4), EPERM);
    EXPECT_TRUE(divert.repair().has_value());
    EXPECT_TRUE(divert.repair().has_value());
  });
}

TEST(Divert, LostTableIsFoundAndMended) {
  with_divert(TableGuard::kNone, [](Divert& divert) {
    std::vector<DivertedConnection> old;
    for (unsigned i = 0; i < 5; ++i) old.push_back(connection(kV6, i));
    EXPECT_EQ(divert.change({}, old), std::vector(5, 0));
    ASSERT_EQ(delete_table(kV6), 0);

    // What cannot be done is told apart from what can.
    const std::array fresh{connection(kV4, 6), connection(kV6, 6), connection(kV4, 7)};
    EXPECT_EQ(divert.change({}, fresh), std::vector({0, ENOENT, 0}));
    EXPECT_EQ(divert.change(std::span(old).first(1), {}), std::vector<int>());
    EXPECT_EQ(divert.size(), 6U);

    ASSERT_TRUE(divert.repair().has_value());
    auto tables = netlink::NfTables::open();
    netlink::NfBatch batch;
    for (unsigned i = 1; i < 5; ++i) {
      batch.delete_element({kV6, "sluice", "handed_over"},
                           netlink::NfKey::of(old[i].guest, old[i].remote));
    }
    EXPECT_TRUE(tables->run(batch).empty());
    // The released one did not come back, and now none of them is there.
    batch.clear();
    for (const DivertedConnection& each : old) {
      batch.delete_element({kV6, "sluice", "handed_over"},
                           netlink::NfKey::of(each.guest, each.remote));
    }
    EXPECT_EQ(tables->run(batch).size(), old.size());
    // A removal that fails does not keep the rest from happening.
    EXPECT_EQ(divert.change(old, fresh), std::vector({0, 0, 0}));
    EXPECT_EQ(divert.size(), 3U);
  });
}

TEST(Divert, RestsWithoutConnectionsUntilThereIsOne) {
  with_divert(TableGuard::kNone, [](Divert& divert) {
    auto tables = netlink::NfTables::open();
    const auto has_chain = [&](wire::IpFamily family) {
      netlink::NfBatch
          batch;  // A rule without any step: what is asked is only whether its chain is there.
      batch.add_rule({family, "sluice", "divert"}, {});
      return tables->run(batch).empty();
    };
    const std::array some{connection(kV4, 1), connection(kV6, 1)};
    EXPECT_TRUE(has_chain(kV4));
    EXPECT_EQ(divert.change({}, some), std::vector({0, 0}));
    divert.rest();  // Not while it has connections.
    EXPECT_TRUE(has_chain(kV4));
    EXPECT_TRUE(divert.change(some, {}).empty());
    ASSERT_TRUE(divert.can_rest());
    divert.rest();
    EXPECT_FALSE(has_chain(kV4));
    EXPECT_FALSE(has_chain(kV6));
    EXPECT_FALSE(divert.can_rest());  // It does already.
    // What is not there can be taken away all the same, and nothing comes back for it.
    EXPECT_TRUE(divert.change(some, {}).empty());
    EXPECT_FALSE(has_chain(kV4));
    EXPECT_EQ(divert.change({}, std::span(some).first(1)), std::vector({0}));
    EXPECT_TRUE(has_chain(kV4));
    EXPECT_TRUE(has_chain(kV6));
    EXPECT_EQ(divert.size(), 1U);
  });
}

TEST(Divert, MoreThanOneTransactionHolds) {
  with_divert(TableGuard::kNone, [](Divert& divert) {
    constexpr unsigned kMany = 9'000;
    std::vector<DivertedConnection> many;
    for (unsigned i = 0; i < kMany; ++i) many.push_back(connection(kV6, i));
    for (unsigned i = 0; i < kMany; i += 1'000) {
      EXPECT_EQ(divert.change({}, std::span(many).subspan(i, 1'000)), std::vector(1'000, 0));
    }
    ASSERT_EQ(delete_table(kV6), 0);
    const auto repaired = divert.repair();
    ASSERT_TRUE(repaired.has_value()) << repaired.error().describe();
    auto tables = netlink::NfTables::open();
    for (unsigned i = 0; i < kMany; i += 1'000) {
      netlink::NfBatch batch;
      for (unsigned j = i; j < i + 1'000; ++j) {
        batch.delete_element({kV6, "sluice", "handed_over"},
                             netlink::NfKey::of(many[j].guest, many[j].remote));
      }
      EXPECT_TRUE(tables->run(batch).empty());
    }
  });
}

TEST(Divert, HasABound) {
  with_divert(TableGuard::kOwner, [](Divert& divert) {
    const auto numbered = [](std::size_t number) {
      DivertedConnection out = connection(kV4, static_cast<unsigned>(number % 50'000));
      out.remote.port.value = static_cast<std::uint16_t>(1 + number / 50'000);
      return out;
    };
    std::vector<DivertedConnection> many;
    for (std::size_t i = 0; i < Divert::kMostConnections + 2; ++i) {
      many.push_back(numbered(i));
      if (many.size() < 1'000 && i < Divert::kMostConnections) continue;
      const auto errors = divert.change({}, many);
      const int wanted = i < Divert::kMostConnections ? 0 : ENOSPC;
      ASSERT_EQ(errors.back(), wanted) << i;
      many.clear();
    }
    EXPECT_EQ(divert.size(), Divert::kMostConnections);
    const std::array first{numbered(0)};
    const std::array extra{connection(kV6, 1)};
    EXPECT_EQ(divert.change(first, extra), std::vector({0}));
  });
}

TEST(Divert, SaysWhatItLacks) {
  in_guest([](AgentGuest&) {
    const int status = sys::in_child([] {
      const std::uint32_t index = netlink::interface_index(AgentGuest::kTap).value();
      // As `nobody` without a user namespace of its own.
      if (::geteuid() == 0 && ::setresuid(65'534, 65'534, 65'534) != 0) return sys::kNotPermitted;
      const auto divert = Divert::set_up(index, kBoth);
      if (divert) return 1;
      EXPECT_EQ(divert.error().step, "local route for every address (IPv4)");
      EXPECT_EQ(divert.error().error, EPERM);
      return ::testing::Test::HasFailure() ? 2 : 0;
    });
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_TRUE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == sys::kNotPermitted);
  });
}

}  // namespace
}  // namespace sluice::agent
