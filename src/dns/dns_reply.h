// The replies that the relay makes itself, and what it sends on of others' messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "dns/dns_query.h"
#include "dns/query_judge.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

// A reply without records. `query` is a header, with its question where that is known.
[[nodiscard]] std::vector<std::uint8_t> bare_dns_reply(ByteView query, wire::DnsRcode rcode,
                                                       bool truncated = false);

// The answer of a judge to who asked with `head`, header and question, in at most `size_max` bytes.
// With `edns` it says why.
[[nodiscard]] std::vector<std::uint8_t> local_dns_answer(ByteView head, bool edns,
                                                         std::size_t size_max,
                                                         const LocalAnswer& answer);

// What a resolver is asked: the guest's message without EDNS options. They concern the guest and us
// (RFC 6891, 6.1.2), and an answer that echoes one client's cookie is of no use to another.
[[nodiscard]] std::vector<std::uint8_t> upstream_dns_query(ByteView message,
                                                           const DnsQueryTraits& traits);

// The same where a question is egress (query_judge.h): written anew, so that of the guest's message
// only its judged name, type and class, and the flags RD, AD, CD and DO, leave the host. The name
// is in lower case, as a budget counts it without its case, which would carry a bit a letter.
[[nodiscard]] std::vector<std::uint8_t> judged_dns_query(const wire::DnsView& query,
                                                         const DnsQueryTraits& traits);

// Whether a resolver says no more than that it cannot or will not: an error without the question
// (RFC 1035, 4.1.1: a server that could not read a query cannot repeat it).
[[nodiscard]] bool is_bare_refusal(const wire::DnsView& answer);

// `answer` for the client that asked with `head`, header and question: whole where it fits into
// `size_max`, else a truncated one, which sends the client to TCP.
[[nodiscard]] std::vector<std::uint8_t> dns_answer_for(ByteView head, std::size_t size_max,
                                                       const wire::DnsView& answer);

}  // namespace sluice::dns
