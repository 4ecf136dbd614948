// The name of a run, in its events and for whoever speaks to it: six characters, which can be told
// apart when they are read aloud, 30 bits of chance.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::telemetry {

[[nodiscard]] inline std::string run_id_of(std::uint64_t chance) {
  // Neither l nor o, 0 nor 1.
  constexpr std::string_view kLetters = "abcdefghijkmnpqrstuvwxyz23456789";
  static_assert(kLetters.size() == 32);
  std::string id(6, ' ');
  for (char& letter : id) {
    letter = kLetters[chance & 31U];
    chance >>= 5U;
  }
  return id;
}

}  // namespace sluice::telemetry
