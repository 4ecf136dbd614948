// The name of a run, in its events and for whoever speaks to it: six characters, which can be told
// apart when they are read aloud, 30 bits of chance.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::telemetry {

// Neither l nor o, 0 nor 1.
inline constexpr std::string_view kRunLetters = "abcdefghijkmnpqrstuvwxyz23456789";
static_assert(kRunLetters.size() == 32);

[[nodiscard]] inline std::string run_id_of(std::uint64_t chance) {
  std::string id(6, ' ');
  for (char& letter : id) {
    letter = kRunLetters[chance & 31U];
    chance >>= 5U;
  }
  return id;
}

// Whether it may be one.
[[nodiscard]] inline bool is_run_id(std::string_view text) {
  constexpr std::size_t kSize = 6;
  return text.size() == kSize && text.find_first_not_of(kRunLetters) == std::string_view::npos;
}

}  // namespace sluice::telemetry
