#include "app/compat/passt_words.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

constexpr PasstOption kOwn[] = {
    {"own", 'x', "VALUE", "one of its own",
     [](PasstDraft& draft, PasstGiven given) -> PasstTaken {
       if (given.text == "bad") return fail("{}: bad", given.option);
       draft.host_name = given.text;
       return {};
     }},
    {"hidden", 0, nullptr, "", [](PasstDraft&, PasstGiven) { return PasstTaken(); }}};

constexpr PasstProgram program(GetoptWordsAre words) {
  return {.name = "demo", .about = "Usage: demo\n", .options = kOwn, .words = words};
}

using Words = std::vector<std::string>;

TEST(PasstWords, OptionsMayBeShortenedAndLettersPutTogether) {
  PasstDraft draft;
  const std::vector<const char*> words{"demo", "-fq", "--ow=x", "--mtu", "1400"};
  const auto rest = read_passt_words(program(GetoptWordsAre::kAnywhere), words, draft);
  ASSERT_TRUE(rest.has_value());
  EXPECT_TRUE(rest->empty());
  EXPECT_EQ(draft.host_name, "x");
  EXPECT_TRUE(draft.done.foreground);
  EXPECT_EQ(draft.raw.all(OptionId::kMtu).back(), "1400");
}

TEST(PasstWords, OtherWordsEndTheOptionsWhereTheyAreLast) {
  const std::vector<const char*> words{"demo", "word", "-f"};
  PasstDraft last;
  EXPECT_EQ(read_passt_words(program(GetoptWordsAre::kLast), words, last), (Words{"word", "-f"}));
  EXPECT_FALSE(last.done.foreground);
  PasstDraft anywhere;
  EXPECT_EQ(read_passt_words(program(GetoptWordsAre::kAnywhere), words, anywhere), Words{"word"});
  EXPECT_TRUE(anywhere.done.foreground);
}

TEST(PasstWords, MistakesNameProgramAndOption) {
  PasstDraft draft;
  const std::vector<const char*> words{"demo", "-x", "bad"};
  const auto rest = read_passt_words(program(GetoptWordsAre::kLast), words, draft);
  ASSERT_FALSE(rest.has_value());
  EXPECT_EQ(rest.error().text, "demo: --own: bad; see 'demo --help'\n");
  EXPECT_EQ(rest.error().exit_code, 1);
}

TEST(PasstWords, HelpShowsWhatIsTalkedAbout) {
  PasstDraft draft;
  const std::vector<const char*> words{"demo", "--help"};
  const auto rest = read_passt_words(program(GetoptWordsAre::kLast), words, draft);
  ASSERT_FALSE(rest.has_value());
  const std::string& text = rest.error().text;
  EXPECT_TRUE(text.starts_with("Usage: demo\n\nOptions:\n"));
  EXPECT_TRUE(text.contains("-x, --own VALUE"));
  EXPECT_TRUE(text.contains("--map-guest-addr"));
  EXPECT_FALSE(text.contains("hidden"));
}

}  // namespace
}  // namespace sluice::app
