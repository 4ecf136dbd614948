#include "netns/files/hosts_file.h"

#include <gtest/gtest.h>

#include <array>

#include "unit/sys/loopback.h"

namespace sluice::netns {
namespace {

std::string with_box(std::string_view text) {
  const std::array addresses{sys::ip("10.0.2.15"), sys::ip("fd00::15")};
  return hosts_with(text, "box", addresses);
}

TEST(HostsFile, NameLeadsToTheGuestWhateverTheHostSays) {
  EXPECT_EQ(with_box(""), "10.0.2.15 box\nfd00::15 box\n");
  EXPECT_EQ(with_box("127.0.1.1 box\n"), "10.0.2.15 box\nfd00::15 box\n");
  EXPECT_EQ(with_box("192.0.2.9\tbox.example.org  BOX mail # us\n"),
            "10.0.2.15 box.example.org BOX mail\nfd00::15 box.example.org BOX mail\n");
}

TEST(HostsFile, OthersStay) {
  const std::string own = "10.0.2.15 box\nfd00::15 box\n";
  EXPECT_EQ(with_box("127.0.0.1 localhost localhost.localdomain box\n"
                     "::1 ip6-localhost ip6-loopback box"),
            own + "127.0.0.1 localhost localhost.localdomain\n::1 ip6-localhost ip6-loopback\n");
  EXPECT_EQ(with_box("# box\n\n192.0.2.1 boxes my-box\n192.0.2.2\n"),
            own + "# box\n\n192.0.2.1 boxes my-box\n192.0.2.2\n");
}

}  // namespace
}  // namespace sluice::netns
