// The page's own files, which sluice has in it: data/web.
#pragma once

#include <string_view>

namespace sluice::web {

struct Asset {
  std::string_view path;  // As a URL has it: "/app.js".
  std::string_view type;
  std::string_view content;
};

// Null: there is no such file. "/" is the page.
[[nodiscard]] const Asset* find_asset(std::string_view path);

}  // namespace sluice::web
