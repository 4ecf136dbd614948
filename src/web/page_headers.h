// What every answer of the page's server tells the browser: to keep to what comes from here, to
// keep nothing, and to tell nobody.
#pragma once

#include <array>
#include <utility>

namespace sluice::web {

// Nobody may frame the page, and no script or style is within it.
inline constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

inline constexpr std::array<std::pair<const char*, const char*>, 6> kPageHeaders{{
    {"Content-Security-Policy", kContentPolicy},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
}};

}  // namespace sluice::web
