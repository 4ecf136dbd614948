#include "box/bell_case.h"

#include <poll.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "box/acpi/acpi_tables.h"
#include "box/bell_mailbox.h"
#include "box/bus/mmio_bus.h"
#include "box/bus/platform_ports.h"
#include "box/echo_threads.h"
#include "box/machine.h"
#include "link/direct/direct_net.h"
#include "sys/kernel.h"

namespace sluice::bench {
namespace {

using std::chrono::steady_clock;

// What a device is to the bus, and nothing behind it.
class BareBell final : public virtio::MmioDevice {
 public:
  [[nodiscard]] std::uint32_t id() const override { return 0; }
  [[nodiscard]] virtio::FeatureSet offered() const override { return {virtio::Feature::kVersion1}; }
  [[nodiscard]] std::size_t queue_count() const override { return 1; }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override { return 1; }
  void read_config(std::size_t, MutableBytes into) const override { std::ranges::fill(into, 0); }
  void attach(virtio::MmioInterrupt& interrupt) override { interrupt_ = &interrupt; }
  [[nodiscard]] bool start(virtio::FeatureSet, std::span<const virtio::MmioQueueSetup>) override {
    return false;
  }
  void reset() override {}
  [[nodiscard]] int kick_fd(std::size_t) const override { return kick_.get(); }

  void answer() const {
    read_eventfd(kick_.get());
    write_eventfd(interrupt_->fd());
  }

 private:
  UniqueFd kick_ = make_eventfd();
  virtio::MmioInterrupt* interrupt_ = nullptr;  // Not owned.
};

box::Binding binding(bool on) { return on ? box::Binding::kOn : box::Binding::kOff; }

// Ticks of the TSC in a millisecond.
double tick_rate() {
  const auto begin = steady_clock::now();
  const std::uint64_t from = __rdtsc();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::uint64_t to = __rdtsc();
  const std::chrono::duration<double, std::milli> taken = steady_clock::now() - begin;
  return static_cast<double>(to - from) / taken.count();
}

// The machine with what answers it. Members go in the order that their users need.
class Place {
 public:
  explicit Place(const BellCase& wanted) : wanted_(wanted) {}

  [[nodiscard]] std::expected<void, std::string> build();
  [[nodiscard]] std::expected<BellResult, std::string> measure();
  ~Place() {
    if (net_) net_->shut_down();
    if (machine_) machine_->stop();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  [[nodiscard]] BellMailbox& mailbox() const {
    std::uint8_t* memory = machine_->memory().regions().front().bytes.data();
    return *reinterpret_cast<BellMailbox*>(memory + kBellMailbox);
  }
  [[nodiscard]] std::expected<void, std::string> add_device();
  [[nodiscard]] std::expected<void, std::string> load_guest();
  void write_plan();
  void begin_answering();
  // Until the guest is ready, or the machine has ended.
  [[nodiscard]] std::uint64_t answer_ns() const;
  [[nodiscard]] bool wait_ready() const;
  [[nodiscard]] std::string how_it_ended() const;

  const BellCase& wanted_;
  double ticks_per_ms_ = tick_rate();
  std::unique_ptr<box::Machine> machine_;
  BareBell bell_;
  std::unique_ptr<link::DirectNet> net_;
  std::unique_ptr<link::Link> link_;
  std::mutex lock_;
  std::unique_ptr<Echo> echo_;
  std::unique_ptr<HandOff> hand_off_;
  std::vector<std::unique_ptr<WaitingThread>> threads_;
};

std::expected<void, std::string> Place::build() {
  auto machine = box::Machine::build({.memory = kBellMemory,
                                      .cpus = 1,
                                      .irqfd = binding(wanted_.irqfd),
                                      .ioeventfd = binding(wanted_.ioeventfd),
                                      .registers = binding(wanted_.registers)});
  if (!machine) return std::unexpected(machine.error().step);
  machine_ = std::move(*machine);
  if (auto done = add_device(); !done) return done;
  if (auto done = load_guest(); !done) return done;
  write_plan();
  begin_answering();
  return {};
}

std::expected<void, std::string> Place::add_device() {
  virtio::MmioDevice* device = &bell_;
  if (wanted_.answer != Answer::kBell) {
    const box::MemoryFile file = machine_->memory_file();
    link::DirectNetPlan plan{.device = {.mac = {}, .mtu = 1500, .queue_pairs_max = 1},
                             .memory_file = UniqueFd(::dup(file.fd)),
                             .tell = [](const std::string&) {}};
    for (const box::MemoryRange& range : file.ranges) {
      plan.regions.push_back({.guest_address = range.guest_address,
                              .size = range.size,
                              .user_address = range.guest_address,
                              .offset = range.offset});
    }
    auto net = link::DirectNet::create(sys::real_kernel(), std::move(plan));
    if (!net) return std::unexpected("the network device cannot be made");
    net_ = std::move(*net);
    link_ = net_->link(0);
    device = net_.get();
  }
  if (auto done = machine_->add(*device); !done) return std::unexpected(done.error().step);
  return {};
}

std::expected<void, std::string> Place::load_guest() {
  std::ifstream file(wanted_.guest, std::ios::binary);
  const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
  const ByteView bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  if (auto done = machine_->load(bytes, {}, ""); !done) {
    return std::unexpected(wanted_.guest + ": " + done.error().step);
  }
  return {};
}

void Place::write_plan() {
  BellMailbox& plan = mailbox();
  plan.registers = box::MmioBus::address_of(0);
  plan.has_queues = wanted_.answer == Answer::kBell ? 0 : 1;
  plan.acknowledge = wanted_.acknowledge ? 1 : 0;
  plan.rounds = wanted_.rounds;
  plan.burst = wanted_.burst;
  plan.end_port = box::kAcpiPorts.sleep_control;
  plan.end_value = std::uint64_t{box::kAcpiSleepEnable} | box::kAcpiSoftOff << 2;
  plan.patience = static_cast<std::uint64_t>(ticks_per_ms_ * 10'000);
}

void Place::begin_answering() {
  const auto wait = [&](std::vector<int> watched, std::function<void(int)> turn) {
    threads_.push_back(
        std::make_unique<WaitingThread>(std::move(watched), wanted_.pinned, std::move(turn)));
  };
  for (const box::InterruptToWatch& watched : machine_->interrupts_to_watch()) {
    wait({watched.fd}, [this, watched](int fd) {
      std::unique_lock<std::mutex> held;
      if (wanted_.lock) held = std::unique_lock(lock_);
      read_eventfd(fd);
      machine_->pulse(watched.gsi);
    });
  }
  if (wanted_.answer == Answer::kBell) {
    wait({bell_.kick_fd(0)}, [this](int) { bell_.answer(); });
  } else if (wanted_.answer == Answer::kNet) {
    echo_ = std::make_unique<Echo>(
        *link_, Echo::Plan{.each = wanted_.each, .lock = wanted_.lock ? &lock_ : nullptr});
    wait({link_->descriptors().begin(), link_->descriptors().end()},
         [this](int) { echo_->turn(); });
  } else {
    hand_off_ = std::make_unique<HandOff>(*link_, wanted_.pinned);
  }
}

std::uint64_t Place::answer_ns() const {
  std::uint64_t sum = 0;
  for (const auto& thread : threads_) sum += thread->cpu_ns();
  return sum;
}

bool Place::wait_ready() const {
  const auto deadline = steady_clock::now() + std::chrono::seconds(30);
  while (mailbox().ready == 0) {
    if (machine_->end() || steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::string Place::how_it_ended() const {
  switch (static_cast<BellError>(mailbox().error)) {
    case BellError::kFault: return "the guest has an exception";
    case BellError::kDevice: return "the device refuses the driver";
    case BellError::kSilence: return "the device does not answer";
    case BellError::kNone: break;
  }
  const auto end = machine_->end();
  return end ? end->words : "the guest stands still";
}

std::expected<BellResult, std::string> Place::measure() {
  const auto started = machine_->start([this] {
    if (wanted_.pinned) pin_to(1);
    return std::expected<void, sys::SetupError>{};
  });
  if (!started) return std::unexpected(started.error().step);
  if (!wait_ready()) return std::unexpected(how_it_ended());
  const std::uint64_t rung_before = mailbox().doorbells[0] + mailbox().doorbells[1];
  const box::MachineCounts before = machine_->counts();
  const std::uint64_t spent_before = answer_ns();
  mailbox().go = 1;
  pollfd ended{.fd = machine_->ended_fd(), .events = POLLIN, .revents = 0};
  constexpr int kLongest = 300'000;  // Milliseconds.
  if (::poll(&ended, 1, kLongest) != 1 || mailbox().done != wanted_.rounds) {
    return std::unexpected(how_it_ended());
  }
  const box::MachineCounts after = machine_->counts();
  BellResult result;
  result.answer_ns = answer_ns() - spent_before;
  result.doorbells = wanted_.answer == Answer::kBell
                         ? wanted_.rounds
                         : mailbox().doorbells[0] + mailbox().doorbells[1] - rung_before;
  result.notify_exits = after.notifies - before.notifies;
  result.register_exits = after.mmio - before.mmio - result.notify_exits;
  for (std::uint64_t i = 0; i < wanted_.rounds; ++i) {
    const auto ticks = static_cast<double>(mailbox().ticks[i]);
    result.nanoseconds.push_back(static_cast<std::uint64_t>(ticks * 1e6 / ticks_per_ms_));
  }
  std::ranges::sort(result.nanoseconds);
  return result;
}

}  // namespace

std::expected<BellResult, std::string> run_case(const BellCase& wanted) {
  Place place(wanted);
  if (auto done = place.build(); !done) return std::unexpected(done.error());
  return place.measure();
}

}  // namespace sluice::bench
