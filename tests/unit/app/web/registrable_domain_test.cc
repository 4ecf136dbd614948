#include "app/web/registrable_domain.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

TEST(RegistrableDomain, ItIsWhatSomebodyHasRegistered) {
  EXPECT_EQ(registrable_domain("www.example.com"), "example.com");
  EXPECT_EQ(registrable_domain("example.com."), "example.com");
  EXPECT_EQ(registrable_domain("a.b.example.co.uk"), "example.co.uk");
  EXPECT_EQ(registrable_domain("pages.user.github.io"), "user.github.io");
  EXPECT_EQ(registrable_domain("github.com.evil.test"), "evil.test");
}

TEST(RegistrableDomain, WhatNobodyRegisteredIsItself) {
  EXPECT_EQ(registrable_domain("co.uk"), "co.uk");
  EXPECT_EQ(registrable_domain("github.io"), "github.io");
  EXPECT_EQ(registrable_domain("localhost"), "localhost");
  EXPECT_EQ(registrable_domain(""), "");
  EXPECT_EQ(registrable_domain("..."), "...");
  const std::string long_name(4096, 'a');
  EXPECT_EQ(registrable_domain(long_name), long_name);
}

}  // namespace
}  // namespace sluice::app
