// What a policy says of DNS, TLS and HTTP, besides its rules. Plain values with the defaults of a
// policy that says nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "wire/messages/dns.h"

namespace sluice::policy {

// Whether the server name of TLS must be one that the address was learnt by.
enum class SniUse : std::uint8_t {
  kRequire,    // ... and there must be one, on ports where TLS is spoken.
  kIfPresent,  // ... where there is one.
  kOff,
};

// Which requests of plain HTTP must be to a host that the address was learnt by.
enum class HostUse : std::uint8_t { kEveryRequest, kFirst, kOff };

// A TLS hello whose real name may be encrypted: judged by the outer name, or refused.
enum class EncryptedHello : std::uint8_t { kOuter, kRefuse };

// What is answered for a name that may be reached: where it leads, or an address that stands for it
// alone (dns/names/synthetic_names.h).
enum class DnsAnswers : std::uint8_t { kPinned, kSynthetic };

// What is answered for a name that may not be reached. kExplain: an address that stands for it,
// where whoever connects by TLS or HTTP is told why it is refused.
enum class DeniedAnswer : std::uint8_t { kExplain, kNxDomain, kNoData };

// Names below a wildcard that may leave the host in a time, for each registrable domain: labels
// carry data.
struct DnsBudget {
  std::uint32_t names = 120;
  std::size_t bytes = 8192;
  Duration per = std::chrono::minutes{10};
};

struct DnsPolicy {
  DnsAnswers answers = DnsAnswers::kPinned;
  DeniedAnswer denied = DeniedAnswer::kNxDomain;
  bool pages = true;      // http://sluice.internal/ tells the guest what was refused.
  bool intercept = true;  // Port 53 to anybody ends in our relay.
  // Types of record that may be asked for.
  std::vector<wire::DnsType> types{wire::DnsType::kA,     wire::DnsType::kAaaa,
                                   wire::DnsType::kHttps, wire::DnsType::kSvcb,
                                   wire::DnsType::kSrv,   wire::DnsType::kPtr};
  Duration min_ttl = std::chrono::seconds{60};  // An address is remembered for so long at least.
  Duration grace = std::chrono::hours{1};       // ... and asked for again for so long after that.
  DnsBudget budget{};
};

struct TlsPolicy {
  SniUse sni = SniUse::kRequire;
  EncryptedHello encrypted_hello = EncryptedHello::kOuter;
};

struct HttpPolicy {
  HostUse host = HostUse::kEveryRequest;
};

}  // namespace sluice::policy
