// From a FlowKey to the place of its flow in a slab. The hash is keyed, so a guest cannot choose
// ports that collide.
#pragma once

#include "base/hash.h"
#include "base/index_table.h"
#include "flow/core/flow_key.h"

namespace sluice::flow {

using FlowTable = IndexTable<FlowKey, HashSecret, 256>;

}  // namespace sluice::flow
