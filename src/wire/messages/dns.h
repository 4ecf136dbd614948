// DNS messages (RFC 1035, 4), with what a relay and its cache need: questions, records with the
// place of their TTL, the negative TTL of an SOA (RFC 2308), and simple replies.
//
//    0                   1
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//   +-------------------------------+
//   |              Id               |
//   +-+-------+-+-+-+-+-+-+-+-------+
//   |Q|       |A|T|R|R| |A|C|       |
//   |R|Opcode |A|C|D|A|Z|D|D| Rcode |
//   +-+-------+-+-+-+-+-+-+-+-------+
//   |   Counts of questions, answer,    |
//   |   authority and additional records|  4 × 16 bits
//   +-----------------------------------+
//
//   question: name | type (2) | class (2)
//   record:   name | type (2) | class (2) | TTL (4) | length (2) | data …
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/messages/domain_name.h"
#include "wire/parse_error.h"

namespace sluice::wire {

enum class DnsType : std::uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kSvcb = 64,
  kHttps = 65,
  kAny = 255,
};

enum class DnsClass : std::uint16_t { kIn = 1, kAny = 255 };

enum class DnsRcode : std::uint8_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
};

inline constexpr std::size_t kDnsHeaderSize = 12;

struct DnsHeader {
  std::uint16_t id = 0;
  bool response = false;
  std::uint8_t opcode = 0;  // 4 bits
  bool authoritative = false;
  bool truncated = false;
  bool recursion_desired = false;
  bool recursion_available = false;
  bool authentic_data = false;
  bool checking_disabled = false;
  DnsRcode rcode = DnsRcode::kNoError;  // 4 bits
  std::uint16_t question_count = 0;
  std::uint16_t answer_count = 0;
  std::uint16_t authority_count = 0;
  std::uint16_t additional_count = 0;

  friend bool operator==(const DnsHeader&, const DnsHeader&) = default;

  [[nodiscard]] static DnsHeader parse(FixedView<kDnsHeaderSize> bytes);
  void emit(FixedBytes<kDnsHeaderSize> bytes) const;
};

struct DnsQuestion {
  DomainName name{};
  DnsType type{};
  DnsClass klass{};
  friend bool operator==(const DnsQuestion&, const DnsQuestion&) = default;
};

enum class DnsSection : std::uint8_t { kAnswer, kAuthority, kAdditional };

struct DnsRecord {
  DomainName name{};
  DnsSection section{};
  DnsType type{};
  DnsClass klass{};
  std::uint32_t ttl = 0;
  std::size_t ttl_offset = 0;    // of its 4 bytes, from the start of the message
  std::size_t rdata_offset = 0;  // likewise; names in the data may be compressed
  ByteView rdata{};

  // The TTL field of an OPT record holds flags (RFC 6891, 6.1.3): a cache leaves it alone.
  [[nodiscard]] bool has_ttl() const { return type != DnsType::kOpt; }
};

// Walks the records of all three sections in order. Stops for good at the first error.
class DnsRecordReader {
 public:
  [[nodiscard]] bool done() const { return remaining() == 0; }
  // Only when not done().
  [[nodiscard]] std::expected<DnsRecord, ParseError> next();

 private:
  friend class DnsView;
  DnsRecordReader(ByteView message, const DnsHeader& header, std::size_t at)
      : message_(message),
        at_(at),
        left_{header.answer_count, header.authority_count, header.additional_count} {}
  [[nodiscard]] std::uint32_t remaining() const {
    return std::uint32_t{left_[0]} + left_[1] + left_[2];
  }

  ByteView message_;
  std::size_t at_;
  std::array<std::uint16_t, 3> left_;
};

// Borrows the message and must not outlive it. parse() checks the header and the questions; records
// are checked as they are read, because a truncated answer may still be of use.
class DnsView {
 public:
  [[nodiscard]] static std::expected<DnsView, ParseError> parse(ByteView message);

  [[nodiscard]] const DnsHeader& header() const { return header_; }
  [[nodiscard]] ByteView message() const { return message_; }
  // The first question; nearly every message has exactly one.
  [[nodiscard]] const std::optional<DnsQuestion>& question() const { return question_; }
  // All questions as they stand in the message.
  [[nodiscard]] ByteView question_bytes() const {
    return message_.subspan(kDnsHeaderSize, records_at_ - kDnsHeaderSize);
  }
  [[nodiscard]] DnsRecordReader records() const { return {message_, header_, records_at_}; }

 private:
  DnsView(ByteView message, const DnsHeader& header) : message_(message), header_(header) {}

  ByteView message_;
  DnsHeader header_;
  std::optional<DnsQuestion> question_;
  std::size_t records_at_ = kDnsHeaderSize;
};

// Walks the questions, decoding each name.
class DnsQuestionReader {
 public:
  explicit DnsQuestionReader(ByteView message, std::uint16_t count)
      : message_(message), left_(count) {}
  [[nodiscard]] bool done() const { return left_ == 0; }
  // Only when not done(). Stops for good at the first error.
  [[nodiscard]] std::expected<DnsQuestion, ParseError> next();
  // Where the bytes after the questions read so far begin.
  [[nodiscard]] std::size_t position() const { return at_; }

 private:
  ByteView message_;
  std::size_t at_ = kDnsHeaderSize;
  std::uint16_t left_;
};

// The address in an A or AAAA record of class IN.
[[nodiscard]] std::optional<IpAddress> dns_address(const DnsRecord& record);
// The name that a CNAME, NS or PTR record holds. `message` is the one that it was read from.
[[nodiscard]] std::expected<DomainName, ParseError> dns_target_name(ByteView message,
                                                                    const DnsRecord& record);
// The MINIMUM field of an SOA record: with the record's own TTL, whichever is less, how long a
// negative answer holds (RFC 2308, 5).
[[nodiscard]] std::expected<std::uint32_t, ParseError> dns_soa_minimum(ByteView message,
                                                                       const DnsRecord& record);

// The UDP payload size that the sender of a message takes (RFC 6891, 6.2.3): 512 without an OPT
// record, and never less.
[[nodiscard]] std::uint16_t dns_udp_payload_size(const DnsView& view);

// Writes a message section by section, in order. Whatever does not fit makes finish() empty.
class DnsBuilder {
 public:
  // The counts in `header` are ignored: the builder counts.
  DnsBuilder(MutableBytes out, const DnsHeader& header);

  void add_question(const DnsQuestion& question);
  void add_address(DnsSection section, const DomainName& name, std::uint32_t ttl,
                   const IpAddress& address);
  void add_record(DnsSection section, const DomainName& name, DnsType type, DnsClass klass,
                  std::uint32_t ttl, ByteView rdata);
  // The length of the message.
  [[nodiscard]] std::optional<std::size_t> finish();

 private:
  void add_name(const DomainName& name);

  ByteWriter out_;
  DnsHeader header_;
  std::optional<DomainName> first_question_;
};

// A reply without records: same id, opcode, questions and RD as the query, and the given rcode.
[[nodiscard]] std::optional<std::size_t> emit_dns_reply(const DnsView& query, DnsRcode rcode,
                                                        MutableBytes out);
// The same with TC set: it tells the client to ask again over TCP.
[[nodiscard]] std::optional<std::size_t> emit_dns_truncated(const DnsView& query, MutableBytes out);

}  // namespace sluice::wire
