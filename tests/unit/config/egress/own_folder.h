// A folder that no other test has, as tests run beside each other.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

namespace sluice::config {

[[nodiscard]] inline std::string own_folder() {
  std::string pattern = testing::TempDir() + "sluice-policy-XXXXXX";
  return ::mkdtemp(pattern.data());
}

}  // namespace sluice::config
