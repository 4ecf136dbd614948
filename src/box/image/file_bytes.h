// A file of the host's as a whole.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

namespace sluice::box {

// Or errno. More than `limit` bytes are EFBIG.
[[nodiscard]] std::expected<std::vector<std::uint8_t>, int> read_file(
    const std::string& path, std::size_t limit = std::size_t{1} << 30);
[[nodiscard]] std::expected<std::string, int> read_text(const std::string& path);

}  // namespace sluice::box
