// What the UDP rate client sends and the lab server's sink counts.
//
//    0               8               16
//   +---------------+---------------+----------
//   |  run number   |   sequence    |  filler …      both little-endian
//   +---------------+---------------+----------
//
// Over the control connection (TCP) the client asks `run NUMBER\n` and gets one line of JSON.
#pragma once

#include <cstdint>

namespace sluice::bench {

struct SinkHeader {
  std::uint64_t run = 0;
  std::uint64_t sequence = 0;
};

}  // namespace sluice::bench
