#include "serve/run_control.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "telemetry/events/event_line.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

void add_counters(telemetry::JsonLine& line, std::string_view key,
                  const std::vector<telemetry::Counter>& counters) {
  line.open_object(key);
  for (const telemetry::Counter& counter : counters) {
    if (counter.value != 0) line.number(counter.name, counter.value);
  }
  line.close();
}

// For who reads them again.
void tell_sources(telemetry::JsonLine& line, const PolicySources& sources, bool opens_loopback) {
  line.open_object("policy");
  line.texts("allow", sources.allow);
  line.texts("deny", sources.deny);
  line.texts("ask", sources.ask);
  line.texts("limits", sources.limits);
  line.texts("files", sources.files);
  line.texts("profiles", sources.profiles);
  line.text("default", sources.fallback);
  line.flag("host_loopback", sources.host_loopback);
  line.flag("host_addresses", sources.host_addresses);
  line.flag("opens_loopback", opens_loopback);
  line.close();
}

}  // namespace

RunControl::RunControl(driver::WorkerGroup& workers, telemetry::EventStream& events,
                       const Setting& setting)
    : workers_(workers),
      events_(events),
      program_(setting.program),
      begun_(workers.now()),
      ports_(workers, setting.network, setting.published),
      sources_(setting.plan.policy_sources),
      opens_loopback_(setting.plan.host_loopback),
      policy_(workers, events, setting.plan.policy) {}

void RunControl::on_request(const control::Request& request, control::Answer& answer) {
  switch (request.verb) {
    case control::Verb::kStatus: tell_status(answer); return;
    case control::Verb::kFlows: tell_flows(request, answer); return;
    case control::Verb::kKill: kill(request, answer); return;
    case control::Verb::kAllow:
    case control::Verb::kDeny: add_rule(request, answer); return;
    case control::Verb::kPublished: tell_published(answer); return;
    case control::Verb::kPublish: publish(request, answer); return;
    case control::Verb::kUnpublish: unpublish(request, answer); return;
    case control::Verb::kPending:
    case control::Verb::kApprove:
    case control::Verb::kRefuse: on_question(request, answer); return;
    case control::Verb::kRules:
      policy_rows_.tell_rules(
          request, {policy_.draft(), policy_.generation(), workers_.rule_hits()}, answer);
      return;
    case control::Verb::kRefused:
      PolicyRows::tell_refused(workers_.snapshot().refused, answer);
      return;
    case control::Verb::kReload: reload(request, answer); return;
    case control::Verb::kSubscribe: break;  // The socket's own.
  }
}

void RunControl::on_listeners(bool any) { workers_.tell_flows(any || events_.wanted()); }

void RunControl::on_answerer(bool came) {
  if (desk_ != nullptr) desk_->on_answerer(came);
}

void RunControl::ask_by(AskDesk& desk) {
  desk_ = &desk;
  desk.use([this](policy::DraftRule rule) -> std::expected<std::uint64_t, std::string> {
    if (auto added = policy_.add_rule(std::move(rule), "ask"); !added) {
      return std::unexpected(std::move(added.error()));
    }
    return policy_.generation();
  });
  policy_.tell([this](const policy::EgressPolicy& policy) { desk_->on_policy(policy); });
}

void RunControl::on_question(const control::Request& request, control::Answer& answer) {
  if (desk_ == nullptr) {
    answer.fail("no-questions", "this program asks no questions");
  } else if (request.verb == control::Verb::kPending) {
    desk_->tell_pending(answer);
  } else {
    desk_->answer(request, program_, answer);
  }
}

void RunControl::tell_status(control::Answer& answer) {
  const telemetry::Snapshot now = workers_.snapshot();
  const auto up =
      std::chrono::duration_cast<std::chrono::milliseconds>(workers_.now() - begun_).count();
  const std::size_t limits = std::min(now.limits.size(), kLimitsMax);
  for (const telemetry::LimitUse& limit : std::span(now.limits).first(limits)) {
    answer.item([&](telemetry::JsonLine& line) { telemetry::add_limit(line, limit); });
  }
  answer.done([&](telemetry::JsonLine& line) {
    line.text("run", events_.run());
    line.text("program", program_);
    line.text("version", SLUICE_VERSION);
    line.number("pid", static_cast<std::uint64_t>(::getpid()));
    constexpr unsigned kMillis = 3;
    line.decimal("uptime_s", static_cast<std::uint64_t>(std::max<std::int64_t>(up, 0)), kMillis);
    line.number("workers", workers_.size());
    line.number("flows", now.flows);
    line.number("generation", policy_.generation());
    line.number("rules", policy_.draft().rules.size());
    if (desk_ != nullptr) desk_->add_status(line);
    line.text("default", to_string(policy_.draft().fallback));
    tell_sources(line, sources_, opens_loopback_);
    add_counters(line, "drops", now.drops);
    add_counters(line, "fast_path", now.fast_path);
  });
}

void RunControl::tell_flows(const control::Request& request, control::Answer& answer) {
  const std::size_t max =
      request.max == 0 ? kFlowsEach : std::min<std::uint64_t>(request.max, kFlowsEach);
  flows_.clear();
  const auto next = workers_.list_flows(request.from, max, flows_);
  for (const flow::FlowSummary& flow : flows_) {
    answer.item(
        [&](telemetry::JsonLine& line) { telemetry::add_flow(line, workers_.record_of(flow)); });
  }
  answer.done([&](telemetry::JsonLine& line) {
    if (!next) {
      line.null("next");
      return;
    }
    line.filled("next", [&](fmt::memory_buffer& to) {
      fmt::format_to(std::back_inserter(to), "{:x}", *next);
    });
  });
}

void RunControl::kill(const control::Request& request, control::Answer& answer) {
  const auto number = control::flow_number(request.what);
  if (!number) {
    answer.fail("bad-flow", "a flow's name has 16 hexadecimal digits");
  } else if (workers_.cut_off(*number, policy::Verdict::kKilled)) {
    answer.done();
  } else {
    answer.fail("no-such-flow", "there is no such flow, or it has ended");
  }
}

void RunControl::tell_published(control::Answer& answer) {
  for (const policy::PortMap& map : ports_.all()) {
    answer.item([&](telemetry::JsonLine& line) { line.text("port", policy::to_string(map)); });
  }
  answer.done();
}

void RunControl::publish(const control::Request& request, control::Answer& answer) {
  const auto map = policy::parse_port_map(request.what);
  if (!map) {
    answer.fail("bad-port", fmt::format("expected {}", map.error().expected));
    return;
  }
  const auto published = ports_.publish(*map);
  if (!published) {
    answer.fail(published.error().error, published.error().message);
    return;
  }
  answer.done([&](telemetry::JsonLine& line) { line.text("port", policy::to_string(*published)); });
}

void RunControl::unpublish(const control::Request& request, control::Answer& answer) {
  const auto named = policy::parse_port_map(request.what);
  const std::string text = named ? policy::to_string(*named) : "";
  const auto published = ports_.all();
  const auto found = std::ranges::find_if(
      published, [&](const policy::PortMap& one) { return policy::to_string(one) == text; });
  if (found == published.end() || !ports_.unpublish(policy::PortMap(*found))) {
    answer.fail("not-published", "no such port is published; 'published' tells which are");
    return;
  }
  answer.done();
}

void RunControl::reload(const control::Request& request, control::Answer& answer) {
  if (request.what.empty()) {
    answer.fail("bad-request", "'draft' is missing");
    return;
  }
  auto draft = upload_.add(request);
  if (!draft) {
    answer.fail("bad-policy", draft.error());
    return;
  }
  if (!*draft) {
    answer.done();
    return;
  }
  const std::size_t before = workers_.snapshot().flows;
  if (const auto done = policy_.replace(std::move(**draft), "reload"); !done) {
    answer.fail("bad-policy", done.error());
    return;
  }
  const std::size_t after = workers_.snapshot().flows;
  answer.done([&](telemetry::JsonLine& line) {
    line.number("generation", policy_.generation());
    line.number("rules", policy_.draft().rules.size());
    line.number("flows_ended", before - std::min(before, after));
  });
}

void RunControl::add_rule(const control::Request& request, control::Answer& answer) {
  const auto target = policy::parse_egress_target(request.what);
  if (!target) {
    answer.fail("bad-rule", fmt::format("expected {}", target.error().expected));
    return;
  }
  const bool allow = request.verb == control::Verb::kAllow;
  policy::DraftRule rule{*target,
                         {.id = fmt::format("ctl #{}", policy_.generation() + 1),
                          .effect = allow ? policy::Effect::kAllow : policy::Effect::kDeny,
                          .source = "ctl"}};
  if (const auto added = policy_.add_rule(std::move(rule), "ctl"); !added) {
    answer.fail("bad-rule", added.error());
    return;
  }
  answer.done([&](telemetry::JsonLine& line) { line.number("generation", policy_.generation()); });
}

}  // namespace sluice::serve
