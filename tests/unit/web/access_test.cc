// Who may ask the page's server what.
#include "web/access.h"

#include <gtest/gtest.h>

namespace sluice::web {
namespace {

const Secrets kSecrets{std::string(64, 't'), std::string(64, 's'), std::string(64, 'k')};
const std::string kCookies = "other=1; sluice=" + kSecrets.session + "; more=2";

class Access_ : public testing::Test {
 protected:
  // A request that may.
  [[nodiscard]] static RequestHead good(std::string_view path = "/api/ask",
                                        std::string_view method = "POST") {
    return {.method = method,
            .path = path,
            .host = "127.0.0.1:4000",
            .origin = "http://127.0.0.1:4000",
            .fetch_site = "same-origin",
            .content_type = "application/json",
            .cookie = kCookies,
            .key = kSecrets.key};
  }
  [[nodiscard]] Access judge(const RequestHead& head) const { return gatekeeper.judge(head); }

  Gatekeeper gatekeeper{"127.0.0.1:4000", kSecrets};
};

TEST_F(Access_, ThePageMayAsk) {
  EXPECT_EQ(judge(good()), Access::kGranted);
  EXPECT_EQ(judge(good("/api/domains")), Access::kGranted);
  EXPECT_EQ(judge(good("/api/runs", "GET")), Access::kGranted);
  EXPECT_EQ(judge(good("/api/events", "GET")), Access::kGranted);
  RequestHead head = good("/", "GET");
  head.cookie = head.key = head.origin = head.fetch_site = {};
  EXPECT_EQ(judge(head), Access::kGranted);
}

TEST_F(Access_, AnotherNameIsAnotherHost) {
  for (const std::string_view host : {"evil.test:4000", "127.0.0.1", "127.0.0.1:4001", "",
                                      "127.0.0.1:4000.evil.test", "localhost:4000"}) {
    for (const std::string_view path : {"/", "/app.js", "/api/ask", "/api/session"}) {
      RequestHead head = good(path);
      head.host = host;
      EXPECT_EQ(judge(head), Access::kForbidden) << host << path;
    }
  }
}

TEST_F(Access_, AnotherPageMayNot) {
  for (const std::string_view origin :
       {"http://evil.test", "null", "https://127.0.0.1:4000", "http://127.0.0.1:8080"}) {
    RequestHead head = good();
    head.origin = origin;
    EXPECT_EQ(judge(head), Access::kForbidden) << origin;
  }
  for (const std::string_view site : {"cross-site", "same-site", "none"}) {
    RequestHead head = good("/api/runs", "GET");
    head.origin = {};
    head.fetch_site = site;
    EXPECT_EQ(judge(head), Access::kForbidden) << site;
  }
}

TEST_F(Access_, NeitherCookieNorKeyIsEnough) {
  RequestHead head = good();
  head.cookie = {};
  EXPECT_EQ(judge(head), Access::kForbidden);
  head = good();
  head.key = {};
  EXPECT_EQ(judge(head), Access::kForbidden);
  head = good();
  head.key = kSecrets.session;
  EXPECT_EQ(judge(head), Access::kForbidden);
  head = good();
  head.cookie = "sluicex=1; xsluice=2; sluice=";
  EXPECT_EQ(judge(head), Access::kForbidden);
  // What there is is not told to whoever may not ask.
  head = good("/api/nothing");
  head.key = {};
  EXPECT_EQ(judge(head), Access::kForbidden);
}

TEST_F(Access_, TheSessionIsOpenedByTheTokenAlone) {
  RequestHead head = good("/api/session");
  head.cookie = head.key = {};
  EXPECT_EQ(judge(head), Access::kGranted);
  EXPECT_TRUE(gatekeeper.opens(kSecrets.token));
  EXPECT_FALSE(gatekeeper.opens(""));
  EXPECT_FALSE(gatekeeper.opens(kSecrets.key));
  EXPECT_FALSE(gatekeeper.opens(kSecrets.token.substr(1)));
  EXPECT_FALSE(gatekeeper.opens(kSecrets.token + kSecrets.token));
}

TEST_F(Access_, RequestsAreJsonAndOfTheirMethod) {
  RequestHead head = good();
  head.content_type = "text/plain";
  EXPECT_EQ(judge(head), Access::kBadType);
  head.content_type = {};
  EXPECT_EQ(judge(head), Access::kBadType);
  head.content_type = "Application/JSON; charset=utf-8";
  EXPECT_EQ(judge(head), Access::kGranted);
  EXPECT_EQ(judge(good("/api/ask", "GET")), Access::kBadMethod);
  EXPECT_EQ(judge(good("/api/runs", "POST")), Access::kBadMethod);
  EXPECT_EQ(judge(good("/app.js", "POST")), Access::kBadMethod);
  EXPECT_EQ(judge(good("/api/nothing")), Access::kNotFound);
}

TEST(SameSecret, WhatIsEmptyIsNoSecret) {
  EXPECT_FALSE(same_secret("", ""));
  EXPECT_FALSE(same_secret("a", ""));
  EXPECT_TRUE(same_secret("ab", "ab"));
  EXPECT_FALSE(same_secret("ab", "ac"));
  EXPECT_FALSE(same_secret("a", "ab"));
}

}  // namespace
}  // namespace sluice::web
