#include "netlink/nf_tables.h"

#include <fmt/core.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/overloaded.h"
#include "sys/sockaddr.h"

namespace sluice::netlink {
namespace {

// More than any message of ours needs beside the elements of a set.
constexpr std::size_t kMessageRoom = 2048;
// An element with its attributes around the key.
constexpr std::size_t kElementRoom = 16;
// The list of elements is one attribute, whose length is told by 16 bits.
constexpr std::size_t kListBytes = 60'000;

// The priority of mangle: after connection tracking has seen a packet, before addresses are
// translated.
constexpr std::int32_t kPriority = -150;

// How nft(8) is told of what a key is made of: its data types, six bits each.
constexpr std::uint32_t kTypeBits = 6;
constexpr std::uint32_t kTypeIpv4 = 7;
constexpr std::uint32_t kTypeIpv6 = 8;
constexpr std::uint32_t kTypePort = 13;

// Of <linux/netfilter.h>, which does not go together with the C library's <netinet/in.h>.
constexpr std::uint8_t kFamilyIpv4 = 2;
constexpr std::uint8_t kFamilyIpv6 = 10;
constexpr std::uint32_t kHookPrerouting = 0;
constexpr std::uint32_t kHookLocalOut = 3;
constexpr std::uint32_t kVerdictAccept = 1;

std::uint8_t nf_family(wire::IpFamily family) {
  return family == wire::IpFamily::kV4 ? kFamilyIpv4 : kFamilyIpv6;
}

// Attributes of nf_tables are big-endian, but what a register holds is as the packet has it.
void put_u32(nlmsghdr* header, std::uint16_t type, std::uint32_t value) {
  mnl_attr_put_u32(header, type, htonl(value));
}
void put_register(nlmsghdr* header, std::uint16_t type, std::uint32_t number) {
  put_u32(header, type, NFT_REG32_00 + number);
}
void put_value(nlmsghdr* header, std::uint16_t type, const void* bytes, std::size_t size) {
  nlattr* value = mnl_attr_nest_start(header, type);
  mnl_attr_put(header, NFTA_DATA_VALUE, size, bytes);
  mnl_attr_nest_end(header, value);
}

void put_compare(nlmsghdr* header, std::uint32_t in, const void* bytes, std::size_t size) {
  put_register(header, NFTA_CMP_SREG, in);
  put_u32(header, NFTA_CMP_OP, NFT_CMP_EQ);
  put_value(header, NFTA_CMP_DATA, bytes, size);
}

std::uint32_t meta_key(NfMeta meta) {
  switch (meta) {
    case NfMeta::kInputInterface: return NFT_META_IIF;
    case NfMeta::kOutputInterface: return NFT_META_OIF;
    case NfMeta::kTransportProtocol: return NFT_META_L4PROTO;
    case NfMeta::kMark: return NFT_META_MARK;
  }
  return NFT_META_MARK;
}

const char* expression_of(const NfStep& step) {
  return std::visit(Overloaded{
                        [](const NfLoadMeta&) { return "meta"; },
                        [](const NfLoadBytes&) { return "payload"; },
                        [](const NfMaskByte&) { return "bitwise"; },
                        [](const NfRequireByte&) { return "cmp"; },
                        [](const NfRequireWord&) { return "cmp"; },
                        [](const NfRequireInSet&) { return "lookup"; },
                        [](const NfDeleteFromSet&) { return "dynset"; },
                        [](const NfLoadWord&) { return "immediate"; },
                        [](const NfSetMark&) { return "meta"; },
                    },
                    step);
}

void put_attributes(nlmsghdr* header, const NfStep& step) {
  std::visit(
      Overloaded{
          [&](const NfLoadMeta& s) {
            put_u32(header, NFTA_META_KEY, meta_key(s.what));
            put_register(header, NFTA_META_DREG, s.to);
          },
          [&](const NfLoadBytes& s) {
            put_register(header, NFTA_PAYLOAD_DREG, s.to);
            put_u32(header, NFTA_PAYLOAD_BASE,
                    s.header == NfHeader::kNetwork ? NFT_PAYLOAD_NETWORK_HEADER
                                                   : NFT_PAYLOAD_TRANSPORT_HEADER);
            put_u32(header, NFTA_PAYLOAD_OFFSET, s.offset);
            put_u32(header, NFTA_PAYLOAD_LEN, s.length);
          },
          [&](const NfMaskByte& s) {
            put_register(header, NFTA_BITWISE_SREG, s.in);
            put_register(header, NFTA_BITWISE_DREG, s.in);
            put_u32(header, NFTA_BITWISE_LEN, 1);
            put_value(header, NFTA_BITWISE_MASK, &s.mask, 1);
            constexpr std::uint8_t kFlipNone = 0;
            put_value(header, NFTA_BITWISE_XOR, &kFlipNone, 1);
          },
          [&](const NfRequireByte& s) { put_compare(header, s.in, &s.value, sizeof s.value); },
          [&](const NfRequireWord& s) { put_compare(header, s.in, &s.value, sizeof s.value); },
          [&](const NfRequireInSet& s) {
            mnl_attr_put_strz(header, NFTA_LOOKUP_SET, s.set);
            put_register(header, NFTA_LOOKUP_SREG, s.in);
          },
          [&](const NfDeleteFromSet& s) {
            mnl_attr_put_strz(header, NFTA_DYNSET_SET_NAME, s.set);
            put_u32(header, NFTA_DYNSET_OP, NFT_DYNSET_OP_DELETE);
            put_register(header, NFTA_DYNSET_SREG_KEY, s.in);
          },
          [&](const NfLoadWord& s) {
            put_register(header, NFTA_IMMEDIATE_DREG, s.to);
            put_value(header, NFTA_IMMEDIATE_DATA, &s.value, sizeof s.value);
          },
          [&](const NfSetMark& s) {
            put_u32(header, NFTA_META_KEY, NFT_META_MARK);
            put_register(header, NFTA_META_SREG, s.from);
          },
      },
      step);
}

}  // namespace

NfKey NfKey::of(const wire::Endpoint& source, const wire::Endpoint& target) {
  NfKey key;
  const auto put = [&key](const auto& octets) {
    std::copy(octets.begin(), octets.end(), key.bytes.begin() + key.length);
    key.length = static_cast<std::uint8_t>(key.length + octets.size());
  };
  for (const wire::Endpoint& endpoint : {source, target}) {
    if (endpoint.address.is_v4()) {
      put(endpoint.address.v4_octets());
    } else {
      put(endpoint.address.octets());
    }
    const std::uint16_t port = endpoint.port.value;
    put(std::array<std::uint8_t, 4>{static_cast<std::uint8_t>(port >> 8U),
                                    static_cast<std::uint8_t>(port), 0, 0});
  }
  return key;
}

void NfBatch::clear() {
  bytes_.clear();
  used_ = 0;
  steps_.clear();
  put_frame(NFNL_MSG_BATCH_BEGIN);
}

void NfBatch::put_frame(std::uint16_t type) {
  bytes_.resize(used_ + kMessageRoom);
  nlmsghdr* header = mnl_nlmsg_put_header(bytes_.data() + used_);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST;
  auto* message = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  message->nfgen_family = AF_UNSPEC;
  message->version = NFNETLINK_V0;
  message->res_id = htons(NFNL_SUBSYS_NFTABLES);
  used_ += MNL_ALIGN(header->nlmsg_len);
}

nlmsghdr* NfBatch::begin(std::uint16_t type, std::uint16_t flags, wire::IpFamily family,
                         std::size_t room) {
  bytes_.resize(used_ + room);
  nlmsghdr* header = mnl_nlmsg_put_header(bytes_.data() + used_);
  header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | type);
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  auto* message = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  message->nfgen_family = nf_family(family);
  message->version = NFNETLINK_V0;
  message->res_id = 0;
  return header;
}

void NfBatch::commit(const nlmsghdr* header, const Step& step) {
  steps_.push_back(step);
  last_ = used_;
  const std::size_t size = MNL_ALIGN(header->nlmsg_len);
  reinterpret_cast<nlmsghdr*>(bytes_.data() + used_)->nlmsg_seq =
      static_cast<std::uint32_t>(steps_.size());
  used_ += size;
}

void NfBatch::ensure_table(wire::IpFamily family, const char* table) {
  nlmsghdr* header = begin(NFT_MSG_NEWTABLE, NLM_F_CREATE, family, kMessageRoom);
  mnl_attr_put_strz(header, NFTA_TABLE_NAME, table);
  commit(header, {"create a table", family});
}

void NfBatch::add_table(wire::IpFamily family, const char* table, std::uint32_t flags) {
  nlmsghdr* header = begin(NFT_MSG_NEWTABLE, NLM_F_CREATE, family, kMessageRoom);
  mnl_attr_put_strz(header, NFTA_TABLE_NAME, table);
  put_u32(header, NFTA_TABLE_FLAGS, flags);
  commit(header, {"create a table", family});
}

void NfBatch::delete_table(wire::IpFamily family, const char* table) {
  nlmsghdr* header = begin(NFT_MSG_DELTABLE, 0, family, kMessageRoom);
  mnl_attr_put_strz(header, NFTA_TABLE_NAME, table);
  commit(header, {"delete a table", family});
}

void NfBatch::add_set(const NfObject& set, std::uint32_t size) {
  nlmsghdr* header = begin(NFT_MSG_NEWSET, NLM_F_CREATE, set.family, kMessageRoom);
  const bool v4 = set.family == wire::IpFamily::kV4;
  const std::uint32_t address = v4 ? kTypeIpv4 : kTypeIpv6;
  const std::uint32_t endpoint = address << kTypeBits | kTypePort;
  mnl_attr_put_strz(header, NFTA_SET_TABLE, set.table);
  mnl_attr_put_strz(header, NFTA_SET_NAME, set.name);
  put_u32(header, NFTA_SET_FLAGS, NFT_SET_EVAL);
  put_u32(header, NFTA_SET_KEY_TYPE, endpoint << (2 * kTypeBits) | endpoint);
  put_u32(header, NFTA_SET_KEY_LEN, v4 ? 16 : 40);
  nlattr* limits = mnl_attr_nest_start(header, NFTA_SET_DESC);
  put_u32(header, NFTA_SET_DESC_SIZE, size);
  mnl_attr_nest_end(header, limits);
  put_u32(header, NFTA_SET_ID, 1);  // Required, though we find the set by its name.
  commit(header, {"create a set", set.family});
}

void NfBatch::add_route_chain(const NfObject& chain) {
  add_chain(chain, {"route", kHookLocalOut, "create a chain of type route"});
}

void NfBatch::add_arrival_chain(const NfObject& chain) {
  add_chain(chain, {"filter", kHookPrerouting, "create a chain of type filter"});
}

void NfBatch::add_chain(const NfObject& chain, const ChainKind& kind) {
  nlmsghdr* header = begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE, chain.family, kMessageRoom);
  mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, chain.table);
  mnl_attr_put_strz(header, NFTA_CHAIN_NAME, chain.name);
  nlattr* hook = mnl_attr_nest_start(header, NFTA_CHAIN_HOOK);
  put_u32(header, NFTA_HOOK_HOOKNUM, kind.hook);
  put_u32(header, NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(kPriority));
  mnl_attr_nest_end(header, hook);
  put_u32(header, NFTA_CHAIN_POLICY, kVerdictAccept);
  mnl_attr_put_strz(header, NFTA_CHAIN_TYPE, kind.type);
  commit(header, {kind.what, chain.family});
}

void NfBatch::add_rule(const NfObject& chain, std::span<const NfStep> steps) {
  nlmsghdr* header =
      begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, chain.family, kMessageRoom);
  mnl_attr_put_strz(header, NFTA_RULE_TABLE, chain.table);
  mnl_attr_put_strz(header, NFTA_RULE_CHAIN, chain.name);
  nlattr* expressions = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);
  for (const NfStep& step : steps) {
    nlattr* element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
    mnl_attr_put_strz(header, NFTA_EXPR_NAME, expression_of(step));
    nlattr* data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
    put_attributes(header, step);
    mnl_attr_nest_end(header, data);
    mnl_attr_nest_end(header, element);
  }
  mnl_attr_nest_end(header, expressions);
  commit(header, {"create a rule", chain.family});
}

void NfBatch::put_elements(std::uint16_t type, std::uint16_t flags, const NfObject& set,
                           std::span<const NfKey> keys, const Step& step) {
  std::size_t room = kMessageRoom;
  for (const NfKey& key : keys) room += kElementRoom + key.length;
  nlmsghdr* header = begin(type, flags, set.family, room);
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, set.table);
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set.name);
  nlattr* list = mnl_attr_nest_start(header, NFTA_SET_ELEM_LIST_ELEMENTS);
  for (const NfKey& key : keys) {
    nlattr* element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
    put_value(header, NFTA_SET_ELEM_KEY, key.bytes.data(), key.length);
    mnl_attr_nest_end(header, element);
  }
  mnl_attr_nest_end(header, list);
  commit(header, step);
}

void NfBatch::add_elements(const NfObject& set, std::span<const NfKey> keys) {
  const std::size_t each = set.family == wire::IpFamily::kV4 ? 16 : 40;
  const std::size_t chunk = kListBytes / (kElementRoom + each);
  while (!keys.empty()) {
    const std::size_t now = std::min(chunk, keys.size());
    put_elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, keys.first(now),
                 {"add to a set", set.family});
    keys = keys.subspan(now);
  }
}

void NfBatch::delete_element(const NfObject& set, const NfKey& key) {
  put_elements(NFT_MSG_DELSETELEM, 0, set, {&key, 1}, {"take from a set", set.family});
}

std::string NfBatch::describe(std::size_t request) const {
  if (request >= steps_.size()) return "nftables: carry out a transaction";
  const Step& step = steps_[request];
  return fmt::format("nftables: {} ({})", step.what,
                     step.family == wire::IpFamily::kV4 ? "IPv4" : "IPv6");
}

std::expected<NfTables, sys::SysError> NfTables::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kNetlink));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  return NfTables(std::move(fd));
}

std::vector<NfFailure> NfTables::run(NfBatch& batch) {
  if (batch.empty()) return {};
  // Errors come unasked; that there are none is told by the one acknowledgement.
  reinterpret_cast<nlmsghdr*>(batch.bytes_.data() + batch.last_)->nlmsg_flags |= NLM_F_ACK;
  batch.put_frame(NFNL_MSG_BATCH_END);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), batch.bytes_.data(), batch.used_, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return {{NfFailure::kWhole, errno}};
  }
  return read_answers(batch.size());
}

// The answers are there when the send returns.
std::vector<NfFailure> NfTables::read_answers(std::size_t requests) {
  std::vector<NfFailure> failures;
  bool acknowledged = false;
  alignas(nlmsghdr) std::array<char, 4096> answer{};
  while (true) {
    const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) break;
    if (got < 0) {
      failures.push_back({NfFailure::kWhole, errno});
      // ENOBUFS: some answers are lost, others may follow.
      if (errno != ENOBUFS) break;
      continue;
    }
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(answer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
      const std::size_t number = header->nlmsg_seq;
      if (error->error == 0) {
        acknowledged = acknowledged || number == requests;
        continue;
      }
      const bool known = number >= 1 && number <= requests;
      failures.push_back({known ? number - 1 : NfFailure::kWhole, -error->error});
    }
  }
  if (failures.empty() && !acknowledged) failures.push_back({NfFailure::kWhole, EIO});
  return failures;
}

}  // namespace sluice::netlink
