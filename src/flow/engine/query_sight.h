// Notes the answers to a guest's questions, for the event stream (flow/core/sight.h).
#pragma once

#include "dns/query_watch.h"
#include "flow/core/sight.h"

namespace sluice::flow {

class QuerySight final : public dns::QueryWatch {
 public:
  // Not owned.
  explicit QuerySight(Sight& sight) : sight_(sight) {}

  void on_answered(const wire::DnsQuestion& question, const wire::DnsView* answer,
                   dns::AnswerSource source) override;

 private:
  Sight& sight_;
};

}  // namespace sluice::flow
