// The data of an HTTPS or SVCB record (RFC 9460, 2.2) as a guest may have it.
//
//   priority (2) | target name, not compressed | key (2) | length (2) | value … | key …, ascending
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "dns/answer_filter.h"
#include "wire/messages/domain_name.h"

namespace sluice::dns {

struct SvcbData {
  wire::DomainName target{};  // The root: the record's own name.
  std::vector<std::uint8_t> rdata{};
  bool changed = false;
};

// Without `ech`, and with those addresses of its hints alone that `rules` keep for `ttl`. Nothing
// if it is malformed, or asks of its reader to mind what was taken out (`mandatory`).
[[nodiscard]] std::optional<SvcbData> read_svcb(ByteView rdata, AnswerRules& rules,
                                                std::uint32_t ttl);

}  // namespace sluice::dns
