// The tables that a processor needs to run in 64-bit mode: an identity mapping of the first 4 GiB,
// and flat segments.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace sluice::box {

inline constexpr std::size_t kPageTableBytes = std::size_t{6} * 4096;
inline constexpr std::size_t kDescriptorTableBytes = 32;

// Into `low`, a guest's memory from address 0 on, at kPageTables and kDescriptorTable
// (low_memory.h), which it must reach.
void write_page_tables(MutableBytes low);
void write_descriptor_table(MutableBytes low);

}  // namespace sluice::box
