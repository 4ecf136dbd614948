// nf_tables by netlink (libmnl): a table with one set, two chains of one rule each, and what enters
// and leaves the set. nft(8) shows it as any other table.
//
// A batch is a transaction: the kernel carries out all of it or nothing, within the one send.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/unique_fd.h"
#include "sys/sys_error.h"
#include "wire/address.h"

struct nlmsghdr;

namespace sluice::netlink {

// An element of a set: address, port, address, port, each padded to four bytes.
struct NfKey {
  std::array<std::uint8_t, 40> bytes{};
  std::uint8_t length = 0;

  [[nodiscard]] static NfKey of(const wire::Endpoint& source, const wire::Endpoint& target);
  friend auto operator<=>(const NfKey&, const NfKey&) = default;
};

// The steps of a rule. Registers are numbered 0 to 15 and hold four bytes each; longer values take
// several in a row.
enum class NfMeta : std::uint8_t { kInputInterface, kOutputInterface, kTransportProtocol, kMark };
enum class NfHeader : std::uint8_t { kNetwork, kTransport };
struct NfLoadMeta {
  NfMeta what = NfMeta::kMark;
  std::uint32_t to = 0;
};
struct NfLoadBytes {
  NfHeader header = NfHeader::kNetwork;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t to = 0;
};
struct NfMaskByte {
  std::uint8_t mask = 0;
  std::uint32_t in = 0;
};
// The rule goes on only when the register holds this.
struct NfRequireByte {
  std::uint8_t value = 0;
  std::uint32_t in = 0;
};
struct NfRequireWord {
  std::uint32_t value = 0;
  std::uint32_t in = 0;
};
// The rule goes on only when the set has what starts at the register.
struct NfRequireInSet {
  const char* set = nullptr;
  std::uint32_t in = 0;
};
// Takes what starts at the register out of the set, if it is there.
struct NfDeleteFromSet {
  const char* set = nullptr;
  std::uint32_t in = 0;
};
struct NfLoadWord {
  std::uint32_t value = 0;
  std::uint32_t to = 0;
};
struct NfSetMark {
  std::uint32_t from = 0;
};
using NfStep = std::variant<NfLoadMeta, NfLoadBytes, NfMaskByte, NfRequireByte, NfRequireWord,
                            NfRequireInSet, NfDeleteFromSet, NfLoadWord, NfSetMark>;

// A set or a chain of a table. The names are literals.
struct NfObject {
  wire::IpFamily family = wire::IpFamily::kV4;
  const char* table = nullptr;
  const char* name = nullptr;
};

class NfBatch {
 public:
  NfBatch() { clear(); }
  void clear();

  // A table that is there already is no failure. Without `flags` it keeps those that it has.
  void ensure_table(wire::IpFamily family, const char* table);
  void add_table(wire::IpFamily family, const char* table, std::uint32_t flags);
  void delete_table(wire::IpFamily family, const char* table);
  // A set of at most `size` connections of this family, for NfKey. Rules may change it.
  void add_set(const NfObject& set, std::uint32_t size);
  // A chain that sees what the host sends and may change its route, before most others.
  void add_route_chain(const NfObject& chain);
  // A chain that sees all that arrives, before it is routed.
  void add_arrival_chain(const NfObject& chain);
  void add_rule(const NfObject& chain, std::span<const NfStep> steps);
  // What is there already is no failure.
  void add_element(const NfObject& set, const NfKey& key) { add_elements(set, {&key, 1}); }
  void add_elements(const NfObject& set, std::span<const NfKey> keys);
  // What is not there fails with ENOENT.
  void delete_element(const NfObject& set, const NfKey& key);

  // Requests so far: the next one gets this number.
  [[nodiscard]] std::size_t size() const { return steps_.size(); }
  [[nodiscard]] bool empty() const { return steps_.empty(); }
  // "nftables: create a set (IPv4)"
  [[nodiscard]] std::string describe(std::size_t request) const;

 private:
  friend class NfTables;
  struct Step {
    const char* what;
    wire::IpFamily family;
  };
  [[nodiscard]] nlmsghdr* begin(std::uint16_t type, std::uint16_t flags, wire::IpFamily family,
                                std::size_t room);
  void commit(const nlmsghdr* header, const Step& step);
  void put_frame(std::uint16_t type);
  struct ChainKind {
    const char* type;
    std::uint32_t hook;
    const char* what;
  };
  void add_chain(const NfObject& chain, const ChainKind& kind);
  void put_elements(std::uint16_t type, std::uint16_t flags, const NfObject& set,
                    std::span<const NfKey> keys, const Step& step);

  std::vector<char> bytes_;
  std::size_t used_ = 0;
  std::size_t last_ = 0;     // Where the last request starts.
  std::vector<Step> steps_;  // steps_[i] describes the request with sequence number i + 1.
};

struct NfFailure {
  // Of no request: the transaction as a whole.
  static constexpr std::size_t kWhole = std::numeric_limits<std::size_t>::max();
  std::size_t request = kWhole;
  int error = 0;
};

class NfTables {
 public:
  // Speaks to the network namespace of the calling thread at the time of the call. A table with
  // an owner (NFT_TABLE_F_OWNER) belongs to this object.
  [[nodiscard]] static std::expected<NfTables, sys::SysError> open();

  // Nothing has changed when there is a failure. Not every request that would fail need be named.
  [[nodiscard]] std::vector<NfFailure> run(NfBatch& batch);

 private:
  explicit NfTables(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] std::vector<NfFailure> read_answers(std::size_t requests);

  UniqueFd fd_;
};

}  // namespace sluice::netlink
