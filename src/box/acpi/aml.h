// ACPI Machine Language, as much of it as names devices and their resources (ACPI 6.5, chapters 20
// and 6.4). Values are strings of bytes that are put into one another; pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace sluice::box::aml {

using Code = std::vector<std::uint8_t>;

[[nodiscard]] Code join(std::span<const Code> parts);
[[nodiscard]] Code join(std::initializer_list<Code> parts);

// Data.
[[nodiscard]] Code integer(std::uint32_t value);
[[nodiscard]] Code string(std::string_view text);
[[nodiscard]] Code buffer(const Code& bytes);
[[nodiscard]] Code package(std::initializer_list<Code> elements);

// Objects. A name has four characters, with a backslash before it where it stands at the root.
[[nodiscard]] Code name(std::string_view called, const Code& value);
[[nodiscard]] Code scope(std::string_view called, const Code& body);
[[nodiscard]] Code device(std::string_view called, const Code& body);

// Resources: what lies between them and the end tag is a buffer, the value of _CRS.
[[nodiscard]] Code resources(std::initializer_list<Code> list);
[[nodiscard]] Code memory(std::uint32_t address, std::uint32_t size);
// Edge, active high, nobody else's.
[[nodiscard]] Code interrupt(std::uint32_t gsi);

}  // namespace sluice::box::aml
