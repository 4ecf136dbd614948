// Small pieces of text that the report and the flow log share. All append, none allocates once
// the buffer has grown.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "wire/address.h"

namespace sluice::telemetry {

// A name in which every byte is a printable ASCII character: others are written \DDD (RFC 1035,
// 5.1), as is a backslash that begins no such escape; those of DomainName::to_text() stay as they
// are. A guest chose the name; it must not reach a terminal raw.
void append_name(fmt::memory_buffer& out, std::string_view name);

// Without a string on the way.
void append_address(fmt::memory_buffer& out, const wire::IpAddress& address);

// RFC 3339 in UTC with microseconds: 2026-03-01T12:00:00.123456Z.
void append_time(fmt::memory_buffer& out, std::chrono::system_clock::time_point time);

// "0 B", "1023 B", "1.0 KiB", "123 KiB", "3.4 GiB": at most three digits before the unit, four
// for bytes.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

// "0.012 s", "1.20 s", "59.9 s", "2 m 05 s", "3 h 07 m".
[[nodiscard]] std::string human_duration(Duration duration);

}  // namespace sluice::telemetry
