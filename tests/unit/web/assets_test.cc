// The files of the page are in the program, whole, and need nothing from elsewhere.
#include "web/assets.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::web {
namespace {

TEST(Assets, ThePageNamesOnlyFilesThatAreThere) {
  const Asset* const page = find_asset("/");
  ASSERT_NE(page, nullptr);
  EXPECT_TRUE(page->content.starts_with("<!doctype html>"));
  EXPECT_TRUE(page->content.ends_with("</html>\n"));
  std::size_t named = 0;
  for (const std::string_view attribute : {"src=\"", "href=\""}) {
    for (std::size_t at = page->content.find(attribute); at != std::string_view::npos;
         at = page->content.find(attribute, at + 1)) {
      const std::size_t begin = at + attribute.size();
      const auto path = page->content.substr(begin, page->content.find('"', begin) - begin);
      EXPECT_NE(find_asset(path), nullptr) << path;
      ++named;
    }
  }
  EXPECT_EQ(named, 4u);
}

TEST(Assets, ModulesImportOnlyModulesThatAreThere) {
  for (const std::string_view path : {"/app.js", "/api.js", "/dom.js", "/filter.js", "/model.js",
                                      "/now.js", "/pending.js", "/tables.js"}) {
    const Asset* const module = find_asset(path);
    ASSERT_NE(module, nullptr) << path;
    constexpr std::string_view kFrom = " from \".";
    for (std::size_t at = module->content.find(kFrom); at != std::string_view::npos;
         at = module->content.find(kFrom, at + 1)) {
      const std::size_t begin = at + kFrom.size();
      const auto other = module->content.substr(begin, module->content.find('"', begin) - begin);
      EXPECT_NE(find_asset(other), nullptr) << path << " imports " << other;
    }
    // What a guest chose must never become HTML.
    for (const std::string_view word : {"innerHTML", "outerHTML", "insertAdjacentHTML",
                                        "document.write", "eval(", "http://", "https://"}) {
      const std::size_t at = module->content.find(word);
      const bool name_of_svg = at != std::string_view::npos &&
                               module->content.substr(at).starts_with("http://www.w3.org/2000/svg");
      EXPECT_TRUE(at == std::string_view::npos || name_of_svg) << path << ": " << word;
    }
  }
}

TEST(Assets, NothingElseIsThere) {
  EXPECT_EQ(find_asset("/index.html"), nullptr);
  EXPECT_EQ(find_asset("/../etc/passwd"), nullptr);
  EXPECT_EQ(find_asset(""), nullptr);
}

}  // namespace
}  // namespace sluice::web
