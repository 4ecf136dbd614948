#include "wire/messages/edns.h"

#include <algorithm>
#include <array>

namespace sluice::wire {
namespace {

constexpr std::uint16_t kExtendedErrorOption = 15;
constexpr std::uint32_t kDnssecOkBit = 0x8000;

}  // namespace

void add_edns(DnsBuilder& builder, const EdnsRecord& record) {
  std::array<std::uint8_t, 6 + kDnsErrorTextMax> options{};
  std::size_t size = 0;
  if (record.error) {
    const std::string_view text = record.error->text.substr(0, kDnsErrorTextMax);
    const FixedBytes<6> head = MutableBytes(options).first<6>();
    put16<0>(head, kExtendedErrorOption);
    put16<2>(head, static_cast<std::uint16_t>(2 + text.size()));
    put16<4>(head, record.error->code);
    std::ranges::copy(text, options.begin() + head.size());
    size = head.size() + text.size();
  }
  builder.add_record(DnsSection::kAdditional, DomainName(), DnsType::kOpt,
                     DnsClass{record.udp_payload_size}, record.dnssec_ok ? kDnssecOkBit : 0,
                     ByteView(options).first(size));
}

}  // namespace sluice::wire
