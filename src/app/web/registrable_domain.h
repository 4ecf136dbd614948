// Whose a name is: the domain that somebody has registered, below which all names are his. Names
// that a guest talks to are shown by it.
#pragma once

#include <string>
#include <string_view>

namespace sluice::app {

// "example.co.uk" of "a.b.example.co.uk", by the list of public suffixes; where that has nothing of
// the name, its last two labels. A public suffix is itself; so is what is no name.
[[nodiscard]] std::string registrable_domain(std::string_view name);

}  // namespace sluice::app
