#include "netns/child_process.h"

#include <gtest/gtest.h>

#include <csignal>

#include "sys/signal_fd.h"
#include "unit/sys/loopback.h"

namespace sluice::netns {
namespace {

TEST(ChildProcess, TerminalSignalsAreNotSentTwice) {
  EXPECT_FALSE(should_forward(SIGINT, SI_KERNEL));
  EXPECT_FALSE(should_forward(SIGQUIT, SI_KERNEL));
  EXPECT_FALSE(should_forward(SIGTSTP, SI_KERNEL));
  EXPECT_TRUE(should_forward(SIGINT, SI_USER));
  EXPECT_TRUE(should_forward(SIGTSTP, SI_TKILL));
  EXPECT_TRUE(should_forward(SIGTERM, SI_USER));
  EXPECT_TRUE(should_forward(SIGHUP, SI_KERNEL));
  EXPECT_TRUE(should_forward(SIGCONT, SI_USER));
  EXPECT_FALSE(should_forward(SIGCHLD, CLD_EXITED));
}

TEST(SignalFd, BlocksReadsAndRestores) {
  const int status = sys::in_child([] {
    ::signal(SIGCHLD, SIG_IGN);  // As some parents leave it.
    auto signals = sys::SignalFd::open(kChildSignals);
    if (!signals) return 1;
    if (signals->read().has_value()) return 2;
    ::kill(::getpid(), SIGTERM);
    const auto info = signals->read();
    if (!info || info->ssi_signo != SIGTERM) return 3;
    struct sigaction now{};
    ::sigaction(SIGCHLD, nullptr, &now);
    if (now.sa_handler != SIG_DFL) return 4;
    signals->saved().restore();
    ::sigaction(SIGCHLD, nullptr, &now);
    if (now.sa_handler != SIG_IGN) return 5;
    sigset_t mask;
    ::sigprocmask(SIG_BLOCK, nullptr, &mask);
    return ::sigismember(&mask, SIGTERM) == 0 ? 0 : 6;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::netns
