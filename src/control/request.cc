#include "control/request.h"

#include <fmt/core.h>

#include <array>
#include <bitset>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/unreachable.h"

namespace sluice::control {
namespace {

using Json = nlohmann::json;

constexpr std::array kVerbs{Verb::kStatus,    Verb::kFlows,     Verb::kKill,    Verb::kPublished,
                            Verb::kPublish,   Verb::kUnpublish, Verb::kAllow,   Verb::kDeny,
                            Verb::kSubscribe, Verb::kPending,   Verb::kApprove, Verb::kRefuse,
                            Verb::kRules,     Verb::kRefused,   Verb::kReload};

// The member that says what a request is about, and whether it must be there.
struct About {
  std::string_view member;
  bool wanted = true;
};

[[nodiscard]] About about(Verb verb) {
  switch (verb) {
    case Verb::kStatus:
    case Verb::kPublished:
    case Verb::kFlows:
    case Verb::kRules:
    case Verb::kRefused:
    case Verb::kPending:
    case Verb::kApprove:
    case Verb::kRefuse:
    case Verb::kSubscribe: return {"", false};
    case Verb::kKill: return {"flow"};
    case Verb::kPublish:
    case Verb::kUnpublish: return {"port"};
    case Verb::kAllow:
    case Verb::kDeny: return {"rule"};
    case Verb::kReload:
      return {"draft", false};  // Of a program that reads its own file there is none.
  }
  unreachable("verb outside its enum");
}

enum Member : std::uint8_t {
  kV,
  kId,
  kDo,
  kFlow,
  kPort,
  kRule,
  kDraft,
  kFrom,
  kMax,
  kQuestion,
  kScope,
  kOf,
  kBy,
  kAnswers,
  kPart,
  kParts,
  kUpload,
  kNone
};
constexpr std::array<std::string_view, kNone> kMembers{
    "v",        "id",    "do", "flow", "port",    "rule", "draft", "from",  "max",
    "question", "scope", "of", "by",   "answers", "part", "parts", "upload"};

// Takes the members as they come: nothing is built of a line that is not what we expect, and
// nothing nests.
class Reader {
 public:
  Request request{};
  std::uint64_t version = kVersion;
  std::optional<std::string> verb;
  std::string_view about;  // The member that `request.what` is of.
  std::string problem;

  bool null() { return fail("null is the value of no member"); }
  bool boolean(bool value) {
    if (member_ != kAnswers) return wrong();
    request.answers = value;
    return true;
  }
  bool number_integer(Json::number_integer_t /*value*/) { return wrong(); }
  bool number_unsigned(Json::number_unsigned_t value) {
    std::uint64_t* const to = number_of(member_);
    if (to == nullptr) return wrong();
    *to = value;
    return true;
  }
  bool number_float(Json::number_float_t /*value*/, const std::string& /*text*/) { return wrong(); }
  bool string(std::string& value) {
    if (member_ == kFrom) return read_place(value);
    if (member_ == kDo) {
      verb = std::move(value);
      return true;
    }
    if (std::string* const to = member_ == kScope ? &request.scope
                                : member_ == kOf  ? &request.of
                                : member_ == kBy  ? &request.by
                                                  : nullptr) {
      *to = std::move(value);
      return true;
    }
    if (member_ < kFlow || member_ > kDraft) return wrong();
    if (!about.empty()) {
      return fail(fmt::format("'{}' and '{}' exclude each other", about, kMembers[member_]));
    }
    about = kMembers[member_];
    request.what = std::move(value);
    return true;
  }
  bool binary(Json::binary_t& /*value*/) { return wrong(); }
  bool start_object(std::size_t /*size*/) { return depth_++ == 0 || wrong(); }
  bool end_object() { return true; }
  bool start_array(std::size_t /*size*/) {
    return depth_ == 0 ? fail("a request is an object, not an array") : wrong();
  }
  bool end_array() { return true; }
  bool key(const std::string& name) {
    member_ = kNone;
    for (std::uint8_t i = 0; i < kNone; ++i) {
      if (kMembers[i] == name) member_ = static_cast<Member>(i);
    }
    if (member_ == kNone) return fail("unknown member");
    if (seen_.test(member_)) return fail(fmt::format("'{}' stands there twice", kMembers[member_]));
    seen_.set(member_);
    return true;
  }
  bool parse_error(std::size_t at, const std::string& /*token*/, const Json::exception& /*error*/) {
    return fail(fmt::format("no JSON, from byte {} on", at));
  }
  [[nodiscard]] bool has_object() const { return depth_ > 0; }
  [[nodiscard]] bool has(Member member) const { return seen_.test(member); }

 private:
  std::uint64_t* number_of(Member member) {
    if (member == kV) return &version;
    if (member == kId) return &request.id;
    if (member == kMax) return &request.max;
    if (member == kQuestion) return &request.question;
    if (member == kPart) return &request.part;
    if (member == kParts) return &request.parts;
    return member == kUpload ? &request.upload : nullptr;
  }
  bool fail(std::string why) {
    problem = std::move(why);
    return false;
  }
  bool wrong() {
    if (depth_ == 0) return fail("a request is an object");
    return fail(fmt::format("the value of '{}' has the wrong type", kMembers[member_ % kNone]));
  }
  bool read_place(const std::string& value) {
    const char* const end = value.data() + value.size();
    const auto [rest, error] = std::from_chars(value.data(), end, request.from, 16);
    if (error != std::errc{} || rest != end) return fail("'from' is not what 'next' was");
    return true;
  }

  Member member_ = kNone;
  std::bitset<kNone> seen_;
  unsigned depth_ = 0;
};

[[nodiscard]] std::optional<Verb> verb_named(std::string_view name) {
  for (const Verb verb : kVerbs) {
    if (to_string(verb) == name) return verb;
  }
  return std::nullopt;
}

// Which members say more about a request, besides the one that it is about.
[[nodiscard]] bool may_have(Verb verb, Member member) {
  if (member == kAnswers) return verb == Verb::kSubscribe;
  return verb == Verb::kApprove || verb == Verb::kRefuse;
}

[[nodiscard]] std::string check(const Reader& reader, Verb verb) {
  for (const Member member : {kQuestion, kScope, kOf, kBy, kAnswers}) {
    if (reader.has(member) && !may_have(verb, member)) {
      return fmt::format("'{}' does not belong here", kMembers[member]);
    }
  }
  const bool answers = verb == Verb::kApprove || verb == Verb::kRefuse;
  if (answers && !reader.has(kQuestion)) return "'question' is missing";
  const auto [member, wanted] = about(verb);
  if (reader.about.empty() && wanted) return fmt::format("'{}' is missing", member);
  if (!reader.about.empty() && reader.about != member) {
    return fmt::format("'{}' does not belong here", reader.about);
  }
  return {};
}

}  // namespace

std::string_view to_string(Verb verb) {
  switch (verb) {
    case Verb::kStatus: return "status";
    case Verb::kFlows: return "flows";
    case Verb::kKill: return "kill";
    case Verb::kPublished: return "published";
    case Verb::kPublish: return "publish";
    case Verb::kUnpublish: return "unpublish";
    case Verb::kAllow: return "allow";
    case Verb::kDeny: return "deny";
    case Verb::kSubscribe: return "subscribe";
    case Verb::kPending: return "pending";
    case Verb::kApprove: return "approve";
    case Verb::kRefuse: return "refuse";
    case Verb::kRules: return "rules";
    case Verb::kRefused: return "refused";
    case Verb::kReload: return "reload";
  }
  unreachable("verb outside its enum");
}

std::expected<Request, BadRequest> parse_request(std::string_view line) {
  Reader reader;
  const bool whole = Json::sax_parse(line.begin(), line.end(), &reader);
  const auto bad = [&](std::string_view error, std::string message) {
    return std::unexpected(BadRequest{reader.request.id, error, std::move(message)});
  };
  if (!whole || !reader.has_object()) {
    return bad("bad-request", reader.problem.empty() ? "no object" : reader.problem);
  }
  if (reader.version != kVersion) return bad("bad-version", "this program speaks version 1");
  if (!reader.verb) return bad("bad-request", "'do' is missing");
  const auto verb = verb_named(*reader.verb);
  if (!verb) return bad("unknown-request", "'do' names nothing that this program does");
  if (auto problem = check(reader, *verb); !problem.empty()) {
    return bad("bad-request", std::move(problem));
  }
  reader.request.verb = *verb;
  return std::move(reader.request);
}

std::optional<std::uint64_t> flow_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, 16);
  constexpr std::size_t kDigits = 16;
  if (error != std::errc{} || rest != end || text.size() != kDigits) return std::nullopt;
  return number;
}

}  // namespace sluice::control
