#include "flow/ip/fragmenter.h"

#include <algorithm>

#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"

namespace sluice::flow {
namespace {

constexpr std::size_t kHeaderV4 = wire::Ipv4View::kHeaderSize;
constexpr std::size_t kHeaderV6 = wire::Ipv6View::kHeaderSize;

}  // namespace

Fragmenter::Fragmenter(const OutgoingDatagram& datagram, std::size_t mtu)
    : datagram_(datagram), total_(datagram.header.size() + datagram.payload.size()) {
  constexpr std::size_t kLongest = 65'535;
  const bool ipv4 = datagram.source.is_v4();
  mtu = std::clamp(mtu, kMtuMin, kLongest);
  const std::size_t unfragmented = mtu - (ipv4 ? kHeaderV4 : kHeaderV6);
  // RFC 791 bounds header and payload, RFC 8200, 4.5 the payload. A fragment header's offset
  // cannot count further.
  if (total_ > (ipv4 ? kLongest - kHeaderV4 : kLongest)) total_ = 0;
  if (total_ <= unfragmented) {
    chunk_size_ = total_;
    return;
  }
  // Every fragment but the last carries a multiple of eight bytes.
  const std::size_t room = unfragmented - (ipv4 ? 0 : wire::kIpv6FragmentHeaderSize);
  chunk_size_ = room / 8 * 8;
}

std::size_t Fragmenter::next(MutableBytes out) {
  if (done()) return 0;
  const std::size_t length = std::min(chunk_size_, total_ - offset_);
  const std::size_t headers = wire::kEthernetHeaderSize + ip_header_size();
  if (out.size() < headers + length) return 0;
  emit_headers(out, length, offset_ + length < total_);
  gather(out.subspan(headers, length));
  offset_ += length;
  return headers + length;
}

std::size_t Fragmenter::frame_size_max() const {
  return total_ == 0 ? 0 : wire::kEthernetHeaderSize + ip_header_size() + chunk_size_;
}

std::size_t Fragmenter::ip_header_size() const {
  if (datagram_.source.is_v4()) return kHeaderV4;
  return chunk_size_ < total_ ? kHeaderV6 + wire::kIpv6FragmentHeaderSize : kHeaderV6;
}

void Fragmenter::emit_headers(MutableBytes out, std::size_t length, bool more) const {
  const bool ipv4 = datagram_.source.is_v4();
  const bool fragmented = chunk_size_ < total_;
  wire::emit_ethernet(out.first<wire::kEthernetHeaderSize>(), datagram_.guest_mac,
                      datagram_.gateway_mac,
                      ipv4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  out = out.subspan(wire::kEthernetHeaderSize);
  if (ipv4) {
    const wire::Ipv4Repr header{
        .source = datagram_.source,
        .destination = datagram_.destination,
        .protocol = datagram_.protocol,
        .ttl = datagram_.hop_limit,
        .payload_length = static_cast<std::uint16_t>(length),
        .identification = static_cast<std::uint16_t>(datagram_.identification),
        .dont_fragment = false,
        .tos = datagram_.traffic_class,
        .more_fragments = more,
        .fragment_offset = static_cast<std::uint16_t>(offset_)};
    header.emit(out.first<kHeaderV4>());
    return;
  }
  const std::size_t extension = fragmented ? wire::kIpv6FragmentHeaderSize : 0;
  const wire::Ipv6Repr header{
      .source = datagram_.source,
      .destination = datagram_.destination,
      .next_header = fragmented ? wire::IpProtocol::kFragment : datagram_.protocol,
      .hop_limit = datagram_.hop_limit,
      .payload_length = static_cast<std::uint16_t>(extension + length),
      .traffic_class = datagram_.traffic_class};
  header.emit(out.first<kHeaderV6>());
  if (!fragmented) return;
  wire::emit_ipv6_fragment(out.subspan<kHeaderV6, wire::kIpv6FragmentHeaderSize>(),
                           datagram_.protocol,
                           {static_cast<std::uint32_t>(offset_), more, datagram_.identification});
}

// Copies the bytes at offset_ of header and payload taken as one.
void Fragmenter::gather(MutableBytes out) const {
  std::size_t from = offset_;
  if (from < datagram_.header.size()) {
    const ByteView part =
        datagram_.header.subspan(from, std::min(out.size(), datagram_.header.size() - from));
    std::ranges::copy(part, out.begin());
    out = out.subspan(part.size());
    from += part.size();
  }
  std::ranges::copy(datagram_.payload.subspan(from - datagram_.header.size(), out.size()),
                    out.begin());
}

}  // namespace sluice::flow
