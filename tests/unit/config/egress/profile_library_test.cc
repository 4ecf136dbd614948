#include "config/egress/profile_library.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "unit/config/egress/own_folder.h"

namespace sluice::config {
namespace {

TEST(ProfileLibrary, TheFirstFolderThatHasANameCounts) {
  const std::string root = own_folder();
  for (const char* folder : {"/mine", "/theirs"}) {
    std::filesystem::create_directories(root + folder);
    std::ofstream(root + folder + "/python.toml") << "\n";
  }
  std::ofstream(root + "/theirs/go.toml") << "\n";
  std::ofstream(root + "/theirs/README") << "\n";
  const ProfileLibrary library({root + "/mine", root + "/theirs", root + "/none"});
  EXPECT_EQ(library.names(), (std::vector<std::string>{"go", "python"}));
  EXPECT_EQ(library.find("python"), root + "/mine/python.toml");
  EXPECT_EQ(library.find("go"), root + "/theirs/go.toml");
  EXPECT_EQ(library.find("rust"), std::nullopt);
  EXPECT_EQ(library.find("../mine/python"), std::nullopt);
  std::filesystem::remove_all(root);
}

TEST(ProfileLibrary, ANameIsLettersDigitsAndHyphens) {
  EXPECT_TRUE(ProfileLibrary::is_name("github-read"));
  for (const char* name : {"", "a/b", "..", "A", "a.b"}) {
    EXPECT_FALSE(ProfileLibrary::is_name(name)) << name;
  }
}

}  // namespace
}  // namespace sluice::config
