// What a client of the control socket asks for: a line that is an object of JSON (RFC 8259) whose
// members are texts, numbers and truth values. docs/control_socket.md has them.
//
//   {"id":7,"do":"kill","flow":"00c0ffee00c0ffee"}
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::control {

// A longer line is no request.
inline constexpr std::size_t kLineMax = 64 * 1024;
// Of this schema. Members may be added to it; what is there keeps its meaning.
inline constexpr std::uint64_t kVersion = 1;

enum class Verb : std::uint8_t {
  kStatus,
  kFlows,
  kKill,
  kPublished,
  kPublish,
  kUnpublish,
  kAllow,
  kDeny,
  kSubscribe,
  kPending,
  kApprove,
  kRefuse,
  kRules,
  kRefused,
  kReload,
};

[[nodiscard]] std::string_view to_string(Verb verb);

struct Request {
  Verb verb = Verb::kStatus;
  std::uint64_t id = 0;  // The client's own, which comes back with each line of the answer.
  // What it is about, by the verb: the flow, the port, the rule, a part of a policy. May be empty.
  std::string what{};
  std::uint64_t from = 0;  // Of kFlows: where to go on.
  std::uint64_t max = 0;   // ... and how many to tell; zero: as many as we like.
  // Of kApprove and kRefuse: which question, and how far the answer goes. Texts may be empty.
  std::uint64_t question = 0;
  std::string scope{};
  std::string of{};
  std::string by{};      // Who answers, for the events.
  bool answers = false;  // Of kSubscribe: whoever reads the events answers questions.
  // Of kReload, whose policy may come in parts: which one it is, of how many, and a number that all
  // parts of it have.
  std::uint64_t part = 0;
  std::uint64_t parts = 1;
  std::uint64_t upload = 0;
};

// Why a line is no request. The id is there where it could be read.
struct BadRequest {
  std::uint64_t id = 0;
  std::string_view error;  // For programs: "bad-request".
  std::string message;     // For people; what was sent is not repeated in it.
};

// `line` is without its newline.
[[nodiscard]] std::expected<Request, BadRequest> parse_request(std::string_view line);

// What names a flow or a session, as it is told: 16 hexadecimal digits.
[[nodiscard]] std::optional<std::uint64_t> flow_number(std::string_view text);

}  // namespace sluice::control
