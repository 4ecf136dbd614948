// Texts of a guest, as a person's terminal may show them.
#pragma once

#include <string>

namespace sluice::box {

// A terminal must not obey a guest: control characters, those of Latin-1 as UTF-8 has them among
// these, become question marks.
void make_printable(std::string& text);

}  // namespace sluice::box
