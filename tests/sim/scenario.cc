#include "scenario.h"

#include <algorithm>
#include <array>

namespace sluice::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

[[nodiscard]] bool chance(Prng& prng, std::uint32_t in_hundred) {
  return prng.below(100) < in_hundred;
}

// Most streams are short, a few are long.
[[nodiscard]] std::uint64_t draw_size(Prng& prng) {
  const std::uint64_t kind = prng.below(100);
  if (kind < 10) return 0;
  if (kind < 55) return prng.below(3'000);
  if (kind < 90) return prng.below(50'000);
  if (kind < 99) return prng.below(300'000);
  return prng.below(3'000'000);
}

[[nodiscard]] EndPlan draw_end(Prng& prng) {
  EndPlan end;
  end.to_send = draw_size(prng);
  const auto slices = static_cast<std::uint32_t>(1 + prng.below(6));
  end.write_chunk = static_cast<std::uint32_t>(end.to_send / slices + 1);
  end.write_interval = microseconds(prng.below(60'000));
  if (chance(prng, 30)) {
    end.read_interval = microseconds(1 + prng.below(20'000));
    end.read_chunk = static_cast<std::uint32_t>(1 + prng.below(30'000));
  }
  const std::uint64_t ending = prng.below(100);
  end.ending = ending < 60   ? Ending::kAfterSending
               : ending < 85 ? Ending::kAfterPeer
                             : Ending::kReset;
  end.reset_after = microseconds(prng.below(200'000));
  end.receive_buffer = static_cast<std::uint32_t>(chance(prng, 20) ? 500 + prng.below(8'000)
                                                                   : 8'192 + prng.below(400'000));
  return end;
}

// A reader must be through in bounded time, whatever it was drawn to be.
void bound_reading(EndPlan& reader, const EndPlan& writer) {
  if (reader.read_interval == Duration::zero()) return;
  reader.read_chunk =
      std::max(reader.read_chunk, static_cast<std::uint32_t>(writer.to_send / 60 + 1));
}

[[nodiscard]] wire::IpAddress v6(std::uint8_t a, std::uint8_t last) {
  const std::array<std::uint8_t, 16> octets{a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
  return wire::IpAddress::v6(FixedView<16>(octets));
}

[[nodiscard]] ConnectionPlan draw_connection(Prng& prng, std::uint8_t number,
                                             const Scenario& scenario) {
  ConnectionPlan c;
  c.inbound = chance(prng, 30);
  const bool v4 = chance(prng, 70);
  const auto port = static_cast<std::uint16_t>(c.inbound ? 80 + number : 40'000 + number);
  c.guest = {v4 ? wire::IpAddress::v4(0x0a00'020f) : v6(0xfd, 0x15), wire::Port{port}};
  c.remote = {v4 ? wire::IpAddress::v4(0xc633'6400U + number) : v6(0x26, number),
              wire::Port{static_cast<std::uint16_t>(1000 + number)}};
  c.starts_after = microseconds(prng.below(50'000));
  c.guest_end = draw_end(prng);
  c.host_end = draw_end(prng);
  if (c.guest_end.ending == Ending::kAfterPeer && c.host_end.ending == Ending::kAfterPeer) {
    c.host_end.ending = Ending::kAfterSending;  // One must begin.
  }
  bound_reading(c.guest_end, c.host_end);
  bound_reading(c.host_end, c.guest_end);

  const auto mss_max = static_cast<std::uint16_t>(scenario.mtu - (v4 ? 40 : 60));
  c.mss =
      chance(prng, 60) ? mss_max : static_cast<std::uint16_t>(88 + prng.below(mss_max - 88U + 1));
  if (chance(prng, 80)) c.window_scale = static_cast<std::uint8_t>(prng.below(10));
  if (c.window_scale) {
    // A buffer below the scale's unit could never be offered.
    c.guest_end.receive_buffer =
        std::max<std::uint32_t>(c.guest_end.receive_buffer, 4U << *c.window_scale);
  } else {
    c.guest_end.receive_buffer = std::min<std::uint32_t>(c.guest_end.receive_buffer, 65'535);
  }
  c.sack = chance(prng, 70);
  c.delayed_ack = chance(prng, 40);
  // Half of the streams wrap around within their first bytes.
  c.isn = static_cast<std::uint32_t>(chance(prng, 50) ? 0 - prng.below(40'000) : prng.next());
  c.frame_max = mss_max;
  if (scenario.tso && chance(prng, 70) && mss_max < 32'000) {
    c.frame_max = 64'000U / mss_max * mss_max;
  }
  c.guest_refuses = c.inbound && chance(prng, 8);

  const std::uint64_t result = prng.below(100);
  c.connect_result = result < 88   ? ConnectResult::kAccepted
                     : result < 93 ? ConnectResult::kRefused
                     : result < 97 ? ConnectResult::kUnreachable
                                   : ConnectResult::kTimedOut;
  c.connect_delay = chance(prng, 80) ? Duration(microseconds(prng.below(30'000)))
                                     : Duration(milliseconds(prng.below(3'000)));
  c.send_buffer = static_cast<std::uint32_t>(chance(prng, 40) ? 4'096 + prng.below(30'000)
                                                              : 80'000 + prng.below(400'000));
  return c;
}

}  // namespace

std::optional<Duration> draw_end_of_command(Prng& prng, Scenario& scenario) {
  if (!chance(prng, 25)) return std::nullopt;
  // Slow hosts, which leave the guest and us with bytes that wait.
  for (ConnectionPlan& connection : scenario.connections) {
    if (!chance(prng, 40)) continue;
    EndPlan& host = connection.host_end;
    host.read_interval = milliseconds(1 + prng.below(3'000));
    host.read_chunk = static_cast<std::uint32_t>(1'000 + prng.below(60'000));
    connection.send_buffer = static_cast<std::uint32_t>(4'096 + prng.below(30'000));
    if (chance(prng, 30)) {  // More than any window, and taken at a gulp.
      connection.guest_end.to_send = 800'000 + prng.below(800'000);
      connection.guest_end.write_chunk = 1'600'000;
      connection.send_buffer = static_cast<std::uint32_t>(300'000 + prng.below(300'000));
      host.read_chunk = 900'000;
    }
    bound_reading(host, connection.guest_end);
    // A host reads what its socket holds, so a small buffer needs more reads than the chunks say.
    // All of them together are to take no more than half of the world's patience.
    const std::uint64_t at_once = std::min(host.read_chunk, connection.send_buffer);
    const std::uint64_t reads = connection.guest_end.to_send / at_once + 1;
    host.read_interval =
        std::min<Duration>(host.read_interval, std::chrono::minutes(10) / std::int64_t(reads));
  }
  return microseconds(chance(prng, 50) ? prng.below(100'000) : prng.below(3'000'000));
}

void draw_hand_over(Prng& prng, Scenario& scenario) {
  if (!chance(prng, 60)) return;
  HandOverPlan& plan = scenario.hand_over;
  plan.when = chance(prng, 60) ? flow::HandOverWhen::kAlways : flow::HandOverWhen::kLong;
  if (chance(prng, 40)) plan.ready_after = microseconds(prng.below(60'000));
  if (chance(prng, 15)) plan.ends_after = microseconds(prng.below(300'000));
  plan.acts_within = microseconds(chance(prng, 60) ? prng.below(300) : prng.below(40'000));
  plan.answers_within = microseconds(chance(prng, 60) ? prng.below(300) : prng.below(40'000));
  if (chance(prng, 40)) plan.refused = static_cast<std::uint32_t>(prng.below(100));
  if (chance(prng, 30)) plan.taken_back = static_cast<std::uint32_t>(prng.below(80));
  if (chance(prng, 30)) {
    plan.astray = static_cast<std::uint32_t>(chance(prng, 30) ? 1000 : prng.below(500));
  }
  plan.turn_max = microseconds(chance(prng, 70) ? prng.below(50) : prng.below(3'000));
  for (ConnectionPlan& connection : scenario.connections) {
    EndPlan& guest = connection.guest_end;
    if (!chance(prng, 15)) continue;
    if (guest.read_interval == Duration::zero()) {
      guest.read_interval = microseconds(1 + prng.below(5'000));
      guest.read_chunk = 30'000;
      bound_reading(guest, connection.host_end);
    }
    guest.pauses_after = microseconds(prng.below(200'000));
    guest.pause = milliseconds(prng.below(8'000));
  }
}

void draw_urgent(Prng& prng, Scenario& scenario) {
  if (!chance(prng, 35)) return;
  for (ConnectionPlan& connection : scenario.connections) {
    for (EndPlan* end : {&connection.guest_end, &connection.host_end}) {
      if (chance(prng, 70)) end->urgent_every = static_cast<std::uint32_t>(1 + prng.below(4));
    }
    if (chance(prng, 5)) connection.short_at = prng.below(connection.host_end.to_send + 1);
  }
}

void draw_ask(Prng& prng, Scenario& scenario) {
  if (!chance(prng, 25)) return;
  AskPlan& plan = scenario.ask;
  plan.new_flows = chance(prng, 70);
  plan.datagrams = chance(prng, 50);
  if (!plan.new_flows || chance(prng, 60)) plan.gate = chance(prng, 50) ? 100 : 50;
  if (chance(prng, 60)) plan.refused = static_cast<std::uint32_t>(prng.below(60));
  if (chance(prng, 40)) plan.never = static_cast<std::uint32_t>(prng.below(40));
  plan.answers_within = chance(prng, 50) ? Duration(microseconds(1 + prng.below(40'000)))
                                         : Duration(milliseconds(1 + prng.below(20'000)));
  plan.bytes_wanted = prng.below(chance(prng, 70) ? 2'000 : 20'000);
}

Scenario draw_scenario(Prng& prng) {
  Scenario scenario;
  LinkPlan& link = scenario.link;
  scenario.checksum_offload = chance(prng, 50);
  scenario.tso = scenario.checksum_offload && chance(prng, 70);
  const std::uint64_t size = prng.below(100);
  scenario.mtu = static_cast<std::uint16_t>(size < 60   ? 1500
                                            : size < 75 ? 1280 + prng.below(3'000)
                                            : size < 90 ? 9'000
                                                        : 65'520);
  link.latency_to_engine = microseconds(prng.below(chance(prng, 50) ? 100 : 15'000));
  link.latency_to_guest = microseconds(prng.below(chance(prng, 50) ? 100 : 15'000));
  link.lossless = chance(prng, 45);
  if (!link.lossless) {
    link.faults.lost = chance(prng, 80) ? static_cast<std::uint32_t>(prng.below(150)) : 0;
    link.faults.repeated = chance(prng, 50) ? static_cast<std::uint32_t>(prng.below(80)) : 0;
    link.faults.reordered = chance(prng, 60) ? static_cast<std::uint32_t>(prng.below(200)) : 0;
    if (!scenario.checksum_offload && chance(prng, 40)) {
      link.faults.corrupted = static_cast<std::uint32_t>(prng.below(60));
    }
    link.faults_end = std::chrono::seconds(12);
  }
  scenario.small_pool = chance(prng, 20);
  scenario.pool_bytes = scenario.small_pool ? (prng.below(12) * 16 * 1024) : 64 * 1024 * 1024;
  scenario.datagrams = static_cast<std::uint32_t>(prng.below(6));
  scenario.pings = static_cast<std::uint32_t>(prng.below(3));
  const auto count = static_cast<std::uint8_t>(1 + prng.below(4));
  for (std::uint8_t i = 1; i <= count; ++i) {
    scenario.connections.push_back(draw_connection(prng, i, scenario));
  }
  return scenario;
}

}  // namespace sluice::sim
