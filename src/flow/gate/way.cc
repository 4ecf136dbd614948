#include "flow/gate/way.h"

#include "wire/messages/connect_tunnel.h"
#include "wire/transport/proxy_protocol.h"

namespace sluice::flow {
namespace {

[[nodiscard]] std::optional<std::vector<std::uint8_t>> proxy_preface(const FlowKey& key,
                                                                     const std::string* name) {
  std::vector<std::uint8_t> preface(wire::kProxyV2EmitSizeMax);
  const wire::ProxyHeader header{.version = wire::ProxyVersion::kV2,
                                 .transport = wire::ProxyTransport::kStream,
                                 .source = key.guest,
                                 .destination = key.remote};
  const auto size = name != nullptr ? wire::emit_proxy_header(header, *name, preface)
                                    : wire::emit_proxy_header(header, preface);
  if (!size) return std::nullopt;
  preface.resize(*size);
  return preface;
}

}  // namespace

Leading find_way(const FlowAdmission& admission, const NamedBy& by, const FlowKey& key) {
  const policy::EgressRule* const rule = admission.led_by(by.rule);
  if (rule == nullptr) return {};
  const auto name = admission.name_of(by);
  if (!name && rule->of_names) return {.kind = Leading::Kind::kNobody};
  Way way{.via = *rule->via, .host = name ? name->to_text() : wire::to_string(key.remote.address)};
  if (rule->via->protocol == policy::ViaProtocol::kConnect) {
    way.preface = wire::make_connect_request(way.host, key.remote.port);
  } else {
    auto preface = proxy_preface(key, name ? &way.host : nullptr);
    if (!preface) return {.kind = Leading::Kind::kNobody};
    way.preface = std::move(*preface);
  }
  return {.kind = Leading::Kind::kByWay, .way = std::move(way)};
}

bool is_led_right(const FlowAdmission& admission, const NamedBy& by, const Way* way) {
  const policy::EgressRule* const rule = admission.led_by(by.rule);
  if (rule == nullptr || way == nullptr) return rule == nullptr && way == nullptr;
  const auto name = admission.name_of(by);
  return way->via == *rule->via && (!name || way->host == name->to_text());
}

Judged OneName::judge_claim(const FlowKey& key, const NamedBy& by, const Claim& claim,
                            Instant now) {
  Judged judged = judge_.judge_claim(key, by, claim, now);
  if (judged.verdict == policy::Verdict::kAccepted && judged.by.name != name_) {
    judged.verdict = policy::Verdict::kHostMismatch;
  }
  return judged;
}

}  // namespace sluice::flow
