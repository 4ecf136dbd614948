// The community id of a flow, version 1, seed 0: the same hash in Zeek, Suricata and others for the
// same five values, so that their records can be joined (github.com/corelight/community-id-spec).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "wire/address.h"

namespace sluice::app {

struct FlowTuple {
  std::uint8_t protocol = 0;  // As IP has it: 1, 6, 17, 58.
  wire::Endpoint source;
  wire::Endpoint destination;
};

// "1:LQU9qZlK+B5F3KDmev6m5PMibrg=". Of ICMP it is that of an echo, whatever the ports are.
[[nodiscard]] std::string community_id(FlowTuple tuple);

// FIPS 180-4, 6.1. For the id only: nothing is kept safe by it.
[[nodiscard]] std::array<std::uint8_t, 20> sha1(std::span<const std::uint8_t> message);

}  // namespace sluice::app
