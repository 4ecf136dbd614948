#include "dns/svcb_params.h"

#include <algorithm>
#include <array>

#include "wire/byte_cursor.h"

namespace sluice::dns {
namespace {

// RFC 9460, 14.3.2.
constexpr std::uint16_t kMandatory = 0;
constexpr std::uint16_t kIpv4Hint = 4;
constexpr std::uint16_t kEch = 5;
constexpr std::uint16_t kIpv6Hint = 6;

struct Param {
  std::uint16_t key = 0;
  ByteView value{};
};

void put_u16(std::vector<std::uint8_t>& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

// The addresses of a hint that are kept, back to back; nothing if it holds no whole addresses.
std::optional<std::vector<std::uint8_t>> kept_addresses(const Param& hint, AnswerRules& rules,
                                                        std::uint32_t ttl) {
  const std::size_t size = hint.key == kIpv4Hint ? 4 : 16;
  if (hint.value.empty() || hint.value.size() % size != 0) return std::nullopt;
  std::vector<std::uint8_t> kept;
  for (std::size_t at = 0; at < hint.value.size(); at += size) {
    const ByteView one = hint.value.subspan(at, size);
    const auto address =
        size == 4 ? wire::IpAddress::v4(one.first<4>()) : wire::IpAddress::v6(one.first<16>());
    if (rules.keeps(address, ttl)) kept.insert(kept.end(), one.begin(), one.end());
  }
  return kept;
}

bool is_mandatory(ByteView list, std::uint16_t key) {
  for (std::size_t at = 0; at + 2 <= list.size(); at += 2) {
    if (be16<0>(list.subspan(at).first<2>()) == key) return true;
  }
  return false;
}

}  // namespace

std::optional<SvcbData> read_svcb(ByteView rdata, AnswerRules& rules, std::uint32_t ttl) {
  constexpr std::size_t kPriority = 2;
  if (rdata.size() <= kPriority) return std::nullopt;
  const auto target = wire::read_name(rdata, kPriority);
  if (!target || target->next - kPriority != target->name.wire().size()) return std::nullopt;
  SvcbData result{.target = target->name, .rdata = {}, .changed = false};
  result.rdata.assign(rdata.begin(), rdata.begin() + static_cast<std::ptrdiff_t>(target->next));
  wire::ByteReader params(rdata.subspan(target->next));
  ByteView mandatory;
  for (std::int32_t before = -1; !params.empty();) {
    Param param{.key = params.u16()};
    param.value = params.take(params.u16());
    if (!params.ok() || param.key <= before) return std::nullopt;
    before = param.key;
    if (param.key == kMandatory) mandatory = param.value;
    std::optional<std::vector<std::uint8_t>> kept;
    if (param.key == kIpv4Hint || param.key == kIpv6Hint) {
      kept = kept_addresses(param, rules, ttl);
      if (!kept) return std::nullopt;
      if (kept->size() != param.value.size()) result.changed = true;
      param.value = *kept;
    }
    if (param.key == kEch || (kept && kept->empty())) {
      if (is_mandatory(mandatory, param.key)) return std::nullopt;
      result.changed = true;
      continue;
    }
    put_u16(result.rdata, param.key);
    put_u16(result.rdata, param.value.size());
    result.rdata.insert(result.rdata.end(), param.value.begin(), param.value.end());
  }
  return result;
}

}  // namespace sluice::dns
