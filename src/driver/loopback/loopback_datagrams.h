// Datagrams that programs of the guest's write to our sockets at its loopback, and the answers,
// which go out by the socket that was written to. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "driver/io/event_tag.h"
#include "driver/io/settled.h"
#include "driver/loopback/loopback_ports.h"
#include "flow/core/action.h"
#include "flow/engine/engine.h"
#include "host/datagram_batch.h"
#include "host/datagram_rows.h"

namespace sluice::driver {

class LoopbackDatagrams {
 public:
  // References are not owned.
  LoopbackDatagrams(flow::Engine& engine, LoopbackPorts& ports) : engine_(engine), ports_(ports) {}

  // Reads one batch. The bytes handed to the engine are valid until the next.
  void on_event(const EventTag& tag, Settled settled);
  // Gathers; all go out with flush() at the latest. Their bytes must live until then.
  void answer(const flow::AnswerGuest& action);
  void flush();

 private:
  static constexpr std::size_t kReceiveSlots = 16;

  flow::Engine& engine_;
  LoopbackPorts& ports_;
  host::DatagramScratch scratch_;
  host::DatagramBatch batch_{scratch_};
  std::uint32_t batch_listener_ = 0;  // By which batch_ goes out.
  host::DatagramRows rows_{kReceiveSlots};
};

}  // namespace sluice::driver
