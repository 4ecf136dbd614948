#include "box/acpi/aml.h"

#include <algorithm>

namespace sluice::box::aml {
namespace {

void append(Code& code, const Code& more) { code.insert(code.end(), more.begin(), more.end()); }

void append_u16(Code& code, std::uint16_t value) {
  code.push_back(static_cast<std::uint8_t>(value));
  code.push_back(static_cast<std::uint8_t>(value >> 8));
}

void append_u32(Code& code, std::uint32_t value) {
  append_u16(code, static_cast<std::uint16_t>(value));
  append_u16(code, static_cast<std::uint16_t>(value >> 16));
}

// 20.2.4: a length that counts itself, in one byte to four. The first byte says how many follow;
// with none it has six bits of the length, else four.
Code package_length(std::size_t body) {
  if (body + 1 < 0x40) return {static_cast<std::uint8_t>(body + 1)};
  std::size_t following = 1;
  while (following < 3 && body + 1 + following >= std::size_t{1} << (4 + 8 * following)) {
    ++following;
  }
  const std::size_t length = body + 1 + following;
  Code code{static_cast<std::uint8_t>(following << 6 | (length & 0xf))};
  for (std::size_t i = 0; i < following; ++i) {
    code.push_back(static_cast<std::uint8_t>(length >> (4 + 8 * i)));
  }
  return code;
}

// An operator whose operands begin with their length.
Code with_length(std::initializer_list<std::uint8_t> operation, const Code& body) {
  Code code = operation;
  append(code, package_length(body.size()));
  append(code, body);
  return code;
}

Code name_string(std::string_view called) {
  Code code(called.size());
  std::ranges::transform(called, code.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  return code;
}

}  // namespace

Code join(std::span<const Code> parts) {
  Code code;
  for (const Code& part : parts) append(code, part);
  return code;
}

Code join(std::initializer_list<Code> parts) {
  return join(std::span<const Code>(parts.begin(), parts.size()));
}

Code integer(std::uint32_t value) {
  if (value <= 1) return {static_cast<std::uint8_t>(value)};           // ZeroOp, OneOp.
  if (value <= 0xff) return {0x0a, static_cast<std::uint8_t>(value)};  // BytePrefix.
  Code code{0x0c};                                                     // DWordPrefix.
  append_u32(code, value);
  return code;
}

Code string(std::string_view text) {
  Code code{0x0d};
  append(code, name_string(text));
  code.push_back(0);
  return code;
}

Code buffer(const Code& bytes) {
  return with_length({0x11}, join({integer(static_cast<std::uint32_t>(bytes.size())), bytes}));
}

Code package(std::initializer_list<Code> elements) {
  Code body{static_cast<std::uint8_t>(elements.size())};
  append(body, join(elements));
  return with_length({0x12}, body);
}

Code name(std::string_view called, const Code& value) {
  return join({{0x08}, name_string(called), value});
}

Code scope(std::string_view called, const Code& body) {
  return with_length({0x10}, join({name_string(called), body}));
}

Code device(std::string_view called, const Code& body) {
  return with_length({0x5b, 0x82}, join({name_string(called), body}));
}

Code resources(std::initializer_list<Code> list) {
  constexpr std::uint8_t kEndTag = 0x79;
  // A checksum of zero counts as right (6.4.2.9).
  return buffer(join({join(list), {kEndTag, 0}}));
}

Code memory(std::uint32_t address, std::uint32_t size) {
  Code code{0x86};  // 32-bit fixed memory range (6.4.3.4).
  append_u16(code, 9);
  code.push_back(1);  // Writable.
  append_u32(code, address);
  append_u32(code, size);
  return code;
}

Code interrupt(std::uint32_t gsi) {
  Code code{0x89};  // Extended interrupt (6.4.3.6).
  append_u16(code, 6);
  code.push_back(0x03);  // A consumer, edge, active high, exclusive.
  code.push_back(1);     // One interrupt.
  append_u32(code, gsi);
  return code;
}

}  // namespace sluice::box::aml
