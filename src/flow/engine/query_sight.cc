#include "flow/engine/query_sight.h"


namespace sluice::flow {

void QuerySight::on_answered(const wire::DnsQuestion& question, const wire::DnsView* answer,
                             dns::AnswerSource source) {
  SeenQuery seen{.question = question,
                 .source = source,
                 .rcode = source == dns::AnswerSource::kNobody ? wire::DnsRcode::kServFail
                                                               : wire::DnsRcode::kNoError};
  if (answer != nullptr) {
    seen.rcode = answer->header().rcode;
    for (wire::DnsRecordReader records = answer->records(); !records.done();) {
      const auto record = records.next();
      if (!record || record->section != wire::DnsSection::kAnswer) break;
      if (wire::dns_address(*record)) ++seen.addresses;
    }
  }
  sight_.add(seen);
}

}  // namespace sluice::flow
