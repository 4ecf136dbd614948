#include "serve/slirp_api/slirp_request.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/unreachable.h"

namespace sluice::serve {
namespace {

using Json = nlohmann::json;
using Answered = std::expected<SlirpRequest, SlirpRefusal>;

// The members that mean something. One of another type is as one that is not there.
struct Members {
  bool is_object = false;
  std::optional<std::string> execute;
  std::optional<std::string> proto;
  std::optional<std::string> host_addr;
  std::optional<std::string> guest_addr;
  std::optional<double> host_port;
  std::optional<double> guest_port;
  std::optional<double> id;
};

// Takes the members as they come. A request is short, so that what it nests is bounded, too.
class Reader {
 public:
  [[nodiscard]] const Members& members() const { return members_; }
  // The text is whole so far, and has ended too early.
  [[nodiscard]] bool is_cut_off(std::size_t size) const { return error_at_ > size; }

  bool null() { return true; }
  bool boolean(bool /*value*/) { return true; }
  bool number_integer(Json::number_integer_t value) { return number(static_cast<double>(value)); }
  bool number_unsigned(Json::number_unsigned_t value) { return number(static_cast<double>(value)); }
  bool number_float(Json::number_float_t value, const std::string& /*text*/) {
    return number(value);
  }
  bool string(std::string& value) {
    // A text of C, which ends where a zero is.
    if (auto* const place = text_place()) *place = value.c_str();
    return true;
  }
  bool binary(Json::binary_t& /*value*/) { return true; }
  bool start_object(std::size_t /*size*/) {
    if (levels_.empty()) members_.is_object = true;
    levels_.emplace_back();
    return true;
  }
  bool end_object() { return end(); }
  bool start_array(std::size_t /*size*/) {
    levels_.emplace_back();
    return true;
  }
  bool end_array() { return end(); }
  // A name that stands there twice makes no JSON to slirp4netns.
  bool key(std::string& name) {
    levels_.back().name = name;
    return levels_.back().seen.insert(name).second;
  }
  bool parse_error(std::size_t at, const std::string& /*token*/, const Json::exception& /*why*/) {
    error_at_ = at;
    return false;
  }

 private:
  struct Level {
    std::string name;  // Of the member that is read; of an array: none.
    std::set<std::string> seen;
  };

  bool end() {
    levels_.pop_back();
    return true;
  }
  [[nodiscard]] bool in_arguments() const {
    return levels_.size() == 2 && levels_.front().name == "arguments";
  }
  [[nodiscard]] std::optional<std::string>* text_place() {
    if (levels_.empty()) return nullptr;
    const std::string& name = levels_.back().name;
    if (levels_.size() == 1) return name == "execute" ? &members_.execute : nullptr;
    if (!in_arguments()) return nullptr;
    if (name == "proto") return &members_.proto;
    if (name == "host_addr") return &members_.host_addr;
    return name == "guest_addr" ? &members_.guest_addr : nullptr;
  }
  bool number(double value) {
    if (!in_arguments()) return true;
    const std::string& name = levels_.back().name;
    if (name == "host_port") members_.host_port = value;
    if (name == "guest_port") members_.guest_port = value;
    if (name == "id") members_.id = value;
    return true;
  }

  Members members_;
  std::vector<Level> levels_;
  std::size_t error_at_ = 0;
};

// slirp4netns takes the lower bits of what is beyond 65535, and has another port opened than was
// asked for; it is a mistake here.
[[nodiscard]] std::optional<wire::Port> port_of(const std::optional<double>& value) {
  constexpr double kEnd = 65'536;
  if (!value || !(*value >= 1) || !(*value < kEnd)) return std::nullopt;
  return wire::Port{static_cast<std::uint16_t>(*value)};
}

[[nodiscard]] std::optional<wire::IpAddress> ipv4_of(const std::string& text) {
  const auto address = wire::parse_ip(text);
  if (!address || !address->is_v4()) return std::nullopt;
  return *address;
}

// In the order in which slirp4netns looks at them.
[[nodiscard]] Answered add_of(const Members& members) {
  AddHostForward add;
  if (members.proto == "udp") {
    add.protocol = policy::Protocol::kUdp;
  } else if (members.proto != "tcp") {
    // One that is missing, or no text, ends slirp4netns by a signal.
    return std::unexpected(SlirpRefusal::kBadProtocol);
  }
  if (members.host_addr && !members.host_addr->empty()) {
    const auto host = ipv4_of(*members.host_addr);
    if (!host) return std::unexpected(SlirpRefusal::kBadHostAddress);
    add.host = *host;
  }
  const auto host_port = port_of(members.host_port);
  if (!host_port) return std::unexpected(SlirpRefusal::kBadHostPort);
  add.host_port = *host_port;
  if (members.guest_addr && !members.guest_addr->empty()) {
    add.guest = ipv4_of(*members.guest_addr);
    if (!add.guest) return std::unexpected(SlirpRefusal::kBadGuestAddress);
  }
  const auto guest_port = port_of(members.guest_port);
  if (!guest_port) return std::unexpected(SlirpRefusal::kBadGuestPort);
  add.guest_port = *guest_port;
  return add;
}

[[nodiscard]] Answered remove_of(const Members& members) {
  constexpr double kEnd = std::numeric_limits<int>::max();
  if (!members.id || !(*members.id >= 1) || !(*members.id < kEnd)) {
    return std::unexpected(SlirpRefusal::kBadId);
  }
  return RemoveHostForward{static_cast<int>(*members.id)};
}

[[nodiscard]] Answered request_of(const Members& members) {
  if (!members.is_object) return std::unexpected(SlirpRefusal::kNoObject);
  if (!members.execute) return std::unexpected(SlirpRefusal::kNoExecute);
  if (*members.execute == "add_hostfwd") return add_of(members);
  if (*members.execute == "list_hostfwd") return ListHostForwards{};
  if (*members.execute == "remove_hostfwd") return remove_of(members);
  return std::unexpected(SlirpRefusal::kUnknownExecute);
}

}  // namespace

std::string_view to_string(SlirpRefusal refusal) {
  switch (refusal) {
    case SlirpRefusal::kTooLarge: return "too large message";
    case SlirpRefusal::kNoJson: return "cannot parse JSON";
    case SlirpRefusal::kNoObject: return "json_object() failed";
    case SlirpRefusal::kNoExecute: return "no execute found";
    case SlirpRefusal::kUnknownExecute: return "unknown execute";
    case SlirpRefusal::kBadProtocol: return "add_hostfwd: bad arguments.proto";
    case SlirpRefusal::kBadHostAddress: return "add_hostfwd: bad arguments.host_addr";
    case SlirpRefusal::kBadHostPort: return "add_hostfwd: bad arguments.host_port";
    case SlirpRefusal::kBadGuestAddress: return "add_hostfwd: bad arguments.guest_addr";
    case SlirpRefusal::kBadGuestPort: return "add_hostfwd: bad arguments.guest_port";
    case SlirpRefusal::kAddFailed: return "add_hostfwd: slirp_add_hostfwd failed";
    case SlirpRefusal::kBadId: return "remove_hostfwd: bad arguments.id";
  }
  unreachable("refusal outside its enum");
}

std::optional<Answered> read_slirp_request(std::string_view bytes, SlirpInput input) {
  if (bytes.size() >= kSlirpRequestMax) return std::unexpected(SlirpRefusal::kTooLarge);
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  // A text of C, too.
  const std::size_t zero = bytes.find('\0');
  std::string text(bytes.substr(0, zero));
  // slirp4netns takes texts that are no UTF-8. None that means anything has such bytes.
  std::ranges::replace_if(text, [](char c) { return (c & 0x80) != 0; }, '?');
  Reader reader;
  if (Json::sax_parse(text.begin(), text.end(), &reader, Json::input_format_t::json, false)) {
    return request_of(reader.members());
  }
  const bool may_go_on = input == SlirpInput::kOpen && zero == std::string_view::npos;
  if (may_go_on && reader.is_cut_off(text.size())) return std::nullopt;
  return std::unexpected(SlirpRefusal::kNoJson);
}

}  // namespace sluice::serve
