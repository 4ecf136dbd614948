// What a client of slirp4netns' API socket asks: one object of JSON a connection, read as far as
// its end; whatever stands behind it means nothing. What is wrong with it is told in slirp4netns'
// words (1.2.0), which its clients compare.
//
//   {"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"0.0.0.0","host_port":8080,
//    "guest_addr":"10.0.2.100","guest_port":80}}
//   {"execute":"list_hostfwd"}
//   {"execute":"remove_hostfwd","arguments":{"id":1}}
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <variant>

#include "policy/protocol.h"
#include "wire/address.h"

namespace sluice::serve {

// A request is shorter.
inline constexpr std::size_t kSlirpRequestMax = 4096;

struct AddHostForward {
  policy::Protocol protocol = policy::Protocol::kTcp;  // kTcp or kUdp
  wire::IpAddress host = wire::IpAddress::v4(std::uint32_t{0});
  wire::Port host_port;
  std::optional<wire::IpAddress> guest{};  // Nothing: the guest's own.
  wire::Port guest_port;
};

struct ListHostForwards {};

struct RemoveHostForward {
  int id = 0;
};

using SlirpRequest = std::variant<AddHostForward, ListHostForwards, RemoveHostForward>;

enum class SlirpRefusal : std::uint8_t {
  kTooLarge,
  kNoJson,
  kNoObject,
  kNoExecute,
  kUnknownExecute,
  kBadProtocol,
  kBadHostAddress,
  kBadHostPort,
  kBadGuestAddress,
  kBadGuestPort,
  kAddFailed,
  kBadId,
};

// As slirp4netns says it, behind "bad request: ".
[[nodiscard]] std::string_view to_string(SlirpRefusal refusal);

enum class SlirpInput : std::uint8_t {
  kOpen,   // More may come.
  kEnded,  // The client has said all.
};

// `bytes` are all that has come. Nothing: it may become a request yet.
[[nodiscard]] std::optional<std::expected<SlirpRequest, SlirpRefusal>> read_slirp_request(
    std::string_view bytes, SlirpInput input);

}  // namespace sluice::serve
