#include "wire/first_bytes/client_hello.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "wire/byte_cursor.h"
#include "wire/first_bytes/host_name.h"

namespace sluice::wire {
namespace {

using Finding = ClientHello::Finding;

constexpr std::uint8_t kHandshake = 22;
constexpr std::uint8_t kMajorVersion = 3;
constexpr std::size_t kRecordHeadSize = 5;
constexpr std::size_t kRecordSizeMax = 1U << 14U;
constexpr std::uint8_t kClientHelloType = 1;
constexpr std::size_t kMessageHeadSize = 4;
constexpr std::uint8_t kHostNameType = 0;

// https://www.iana.org/assignments/tls-extensiontype-values; 0xffce is the draft's that came before
// (draft-ietf-tls-esni-02).
constexpr std::uint16_t kServerNameExtension = 0;
constexpr std::uint16_t kEncryptedHelloExtension = 0xfe0d;
constexpr std::uint16_t kEncryptedNameExtension = 0xffce;

// The handshake's bytes, gathered from its records.
class Message {
 public:
  // How far the records go, and what is wrong with them if anything is.
  [[nodiscard]] Finding gather(ByteView bytes) {
    for (std::size_t records = 0; !is_whole(); ++records) {
      if (bytes.empty()) return Finding::kNeedMore;
      if (bytes[0] != kHandshake) return records == 0 ? Finding::kNotTls : Finding::kMalformed;
      if (bytes.size() < 2) return Finding::kNeedMore;
      if (bytes[1] != kMajorVersion) return records == 0 ? Finding::kNotTls : Finding::kMalformed;
      if (records == kClientHelloRecordsMax) return Finding::kMalformed;
      if (bytes.size() < kRecordHeadSize) return Finding::kNeedMore;
      const std::size_t length = be16<3>(bytes.first<kRecordHeadSize>());
      if (length == 0 || length > kRecordSizeMax) return Finding::kMalformed;
      bytes = bytes.subspan(kRecordHeadSize);
      const ByteView piece = bytes.first(std::min(length, bytes.size()));
      if (!add(piece)) return Finding::kMalformed;
      // Behind a hello a record has room for nothing: a server speaks next.
      if (is_known() && size_ + (length - piece.size()) > wanted()) return Finding::kMalformed;
      bytes = bytes.subspan(piece.size());
      if (piece.size() < length) return Finding::kNeedMore;
    }
    return Finding::kServerName;
  }
  [[nodiscard]] ByteView body() const { return ByteView(bytes_).first(size_).subspan(4); }

 private:
  [[nodiscard]] bool is_known() const { return size_ >= kMessageHeadSize; }
  [[nodiscard]] std::size_t wanted() const {
    return kMessageHeadSize + (std::size_t{bytes_[1]} << 16U) + (std::size_t{bytes_[2]} << 8U) +
           bytes_[3];
  }
  [[nodiscard]] bool is_whole() const { return is_known() && size_ == wanted(); }
  [[nodiscard]] bool add(ByteView piece) {
    if (piece.size() > bytes_.size() - size_) return false;
    std::ranges::copy(piece, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += piece.size();
    if (size_ > 0 && bytes_[0] != kClientHelloType) return false;
    return !is_known() || wanted() <= bytes_.size();
  }

  std::array<std::uint8_t, kClientHelloSizeMax> bytes_;
  std::size_t size_ = 0;
};

// RFC 6066, 3: a list, of which one kind of entry exists, once.
[[nodiscard]] std::optional<DomainName> read_server_name(ByteView extension) {
  ByteReader reader(extension);
  const std::size_t list = reader.u16();
  if (!reader.ok() || list != reader.rest().size()) return std::nullopt;
  const std::uint8_t type = reader.u8();
  const ByteView name = reader.take(reader.u16());
  if (!reader.ok() || !reader.empty() || type != kHostNameType) return std::nullopt;
  return host_name_from_text({reinterpret_cast<const char*>(name.data()), name.size()});
}

[[nodiscard]] ClientHello read_extensions(ByteReader& reader) {
  ClientHello hello{.finding = Finding::kNoServerName};
  const ClientHello malformed{.finding = Finding::kMalformed};
  for (std::size_t count = 0; !reader.empty(); ++count) {
    if (count == kClientHelloExtensionsMax) return malformed;
    const std::uint16_t type = reader.u16();
    const ByteView extension = reader.take(reader.u16());
    if (!reader.ok()) return malformed;
    if (type == kEncryptedHelloExtension || type == kEncryptedNameExtension) hello.encrypted = true;
    if (type != kServerNameExtension) continue;
    const auto name = read_server_name(extension);
    if (!name || hello.finding == Finding::kServerName) return malformed;
    hello.finding = Finding::kServerName;
    hello.server_name = *name;
  }
  return hello;
}

[[nodiscard]] ClientHello read_body(ByteView body) {
  constexpr std::size_t kRandomSize = 32;
  constexpr std::size_t kSessionIdMax = 32;
  ByteReader reader(body);
  const std::uint16_t version = reader.u16();
  reader.take(kRandomSize);
  const std::size_t session_id = reader.u8();
  reader.take(session_id);
  const std::size_t suites = reader.u16();
  reader.take(suites);
  const std::size_t methods = reader.u8();
  reader.take(methods);
  const bool in_bounds =
      session_id <= kSessionIdMax && suites >= 2 && suites % 2 == 0 && methods >= 1;
  if (!reader.ok() || !in_bounds || version >> 8U != kMajorVersion) {
    return {.finding = Finding::kMalformed};
  }
  // RFC 5246, 7.4.1.2: a hello without extensions ends here.
  if (reader.empty()) return {.finding = Finding::kNoServerName};
  const std::size_t extensions = reader.u16();
  if (!reader.ok() || extensions != reader.rest().size()) return {.finding = Finding::kMalformed};
  return read_extensions(reader);
}

}  // namespace

ClientHello read_client_hello(ByteView bytes) {
  const bool is_all = bytes.size() < kClientHelloSizeMax;
  Message message;
  const Finding finding = message.gather(is_all ? bytes : bytes.first(kClientHelloSizeMax));
  if (finding == Finding::kNeedMore && !is_all) return {.finding = Finding::kMalformed};
  if (finding != Finding::kServerName) return {.finding = finding};
  return read_body(message.body());
}

}  // namespace sluice::wire
