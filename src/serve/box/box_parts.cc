#include "serve/box/box_parts.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "box/boot/command_line.h"
#include "box/device/console_device.h"
#include "box/device/device_thread.h"
#include "box/device/rng_device.h"
#include "box/device/session.h"
#include "box/fs/file_server.h"
#include "box/fs/fs_device.h"
#include "box/image/image.h"
#include "box/image/kernel.h"
#include "box/image/kernel_fetch.h"
#include "box/kvm/kvm_check.h"
#include "box/machine.h"
#include "link/direct/direct_net.h"
#include "sandbox/box_sandbox.h"
#include "sandbox/empty_root.h"
#include "serve/box/box_setup.h"
#include "serve/box/few_warnings.h"
#include "sys/kernel.h"
#include "sys/steady_clock.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

using Done = std::expected<void, sys::SetupError>;

[[nodiscard]] sys::SetupError in_words(std::string_view step, const sys::SysError& error) {
  return {std::string(step), error.error, ""};
}

class Box final : public BoxParts {
 public:
  explicit Box(const BoxPlan& plan) : plan_(plan) {}
  ~Box() override { stop(); }

  [[nodiscard]] Done make(const GuestSetting& setting);

  std::vector<std::unique_ptr<link::Link>> links() override;
  std::expected<void, sys::SetupError> start() override;
  void stop() override;

  int news_fd() const override { return session_->news_fd(); }
  void clear_news() override { session_->clear_news(); }
  std::vector<BoxStage> take_stages() override;
  std::vector<sys::SetupError> take_warnings() override;
  bool take_stop() override { return session_->take_stop().has_value(); }
  bool has_started() const override { return session_->started(); }
  std::optional<int> status() const override;
  std::optional<sys::SetupError> failure() const override;

  int ended_fd() const override { return machine_->ended_fd(); }
  std::string why_ended() const override;
  std::string console() const override { return machine_->serial_tail(); }
  std::vector<int> file_servers() const override;
  sys::SetupError file_failure() const override;

  void signal(int number) override { session_->signal(number); }
  void window_changed() override { session_->window_changed(); }
  void suspend() override { session_->suspend(); }
  void resume() override { session_->resume(); }

 private:
  [[nodiscard]] Done find_parts();
  [[nodiscard]] Done build_machine();
  [[nodiscard]] Done serve_files();
  [[nodiscard]] Done serve_directory(const box::FileServerPlan& plan);
  [[nodiscard]] Done make_devices(const GuestSetting& setting);
  [[nodiscard]] Done make_net(const GuestSetting& setting);
  [[nodiscard]] Done open_session(const GuestSetting& setting);
  [[nodiscard]] Done load();
  void stage(std::string_view name);

  const BoxPlan& plan_;
  Instant begun_ = sys::steady_now(sys::real_kernel());
  Instant machine_begun_ = begun_;
  std::vector<BoxStage> stages_;
  // Of all devices, which may have it for longer.
  std::shared_ptr<FewWarnings> warnings_ =
      std::make_shared<FewWarnings>([](std::string_view text) { telemetry::log_warn("{}", text); });

  box::Kernel kernel_;
  box::VirtiofsdProgram virtiofsd_;
  // Destroyed from the last to the first, once the threads have ended.
  std::unique_ptr<box::DeviceThread> thread_;
  std::unique_ptr<box::Machine> machine_;
  std::vector<box::FileServer> servers_;
  std::vector<std::unique_ptr<box::FsDevice>> files_;
  std::unique_ptr<box::ConsoleDevice> console_;
  std::unique_ptr<box::RngDevice> rng_;
  std::unique_ptr<link::DirectNet> net_;
  std::vector<box::DeviceThread::Watch> interrupts_;
  std::unique_ptr<box::Session> session_;
};

Done Box::make(const GuestSetting& setting) {
  if (auto done = find_parts(); !done) return done;
  if (auto done = build_machine(); !done) return done;
  if (auto done = serve_files(); !done) return done;
  if (auto done = make_devices(setting); !done) return done;
  if (auto done = load(); !done) return done;
  stage("machine built");
  return open_session(setting);
}

// What can be missing, before anything is made.
Done Box::find_parts() {
  if (auto fit = box::check_kvm(); !fit) return fit;
  stage("KVM found fit");
  auto kernel = box::find_kernel(plan_.kernel);
  if (!kernel && plan_.fetch_kernel && plan_.kernel.empty()) {
    const auto fetched = box::fetch_kernel(
        box::usual_kernel_places().fetched,
        [](std::string_view line) { telemetry::log_info("--fetch-kernel: {}", line); });
    if (!fetched) return std::unexpected(fetched.error());
    kernel = box::find_kernel(*fetched);
  }
  if (!kernel) return std::unexpected(kernel.error());
  kernel_ = std::move(*kernel);
  const char* const path = std::getenv("PATH");
  auto program = box::find_virtiofsd(path != nullptr ? path : "");
  if (!program) return std::unexpected(program.error());
  virtiofsd_ = std::move(*program);
  stage(fmt::format("kernel {} and virtiofsd found", kernel_.version));
  return {};
}

Done Box::build_machine() {
  auto thread = box::DeviceThread::create(sys::real_kernel());
  if (!thread) return std::unexpected(in_words("make the thread of devices", thread.error()));
  thread_ = std::move(*thread);
  box::MachinePlan plan;
  plan.memory = plan_.memory;
  plan.cpus = plan_.cpus;
  auto machine = box::Machine::build(plan);
  if (!machine) return std::unexpected(machine.error());
  machine_ = std::move(*machine);
  return {};
}

Done Box::serve_files() {
  servers_.reserve(plan_.shares.size() + 1);
  const auto tree = [this](const std::string& directory, bool writable) {
    return box::SharedTree{
        .directory = directory,
        .access = writable ? box::TreeAccess::kWritable : box::TreeAccess::kReadOnly,
        .hidden = plan_.hidden};
  };
  const auto serve = [this](box::SharedTree shared, std::string tag) {
    return serve_directory(
        {.tree = std::move(shared), .tag = std::move(tag), .program = virtiofsd_});
  };
  if (auto done = serve(tree(plan_.root, false), std::string(box::kRootTag)); !done) return done;
  for (std::size_t i = 0; i < plan_.shares.size(); ++i) {
    const BoxShare& share = plan_.shares[i];
    if (auto done = serve(tree(share.path, share.writable), share_tag(i)); !done) return done;
  }
  return {};
}

Done Box::serve_directory(const box::FileServerPlan& plan) {
  auto server = box::FileServer::start(sys::real_kernel(), plan);
  if (!server) return std::unexpected(server.error());
  servers_.push_back(std::move(*server));
  return {};
}

Done Box::make_devices(const GuestSetting& setting) {
  const virtio::GuestMemory& memory = machine_->memory();
  const auto fault = [this](std::string device) {
    return [device = std::move(device), warnings = warnings_](std::string_view why) {
      warnings->warn(fmt::format("{}: {}", device, why));
    };
  };
  auto console = box::ConsoleDevice::create(*thread_, memory, box::kSessionPorts, fault("console"));
  if (!console) return std::unexpected(in_words("make the console", console.error()));
  console_ = std::move(*console);
  auto rng = box::RngDevice::create(*thread_, memory, box::kernel_entropy, fault("random numbers"));
  if (!rng) return std::unexpected(in_words("make the device of random numbers", rng.error()));
  rng_ = std::move(*rng);
  const box::MemoryFile shared = machine_->memory_file();
  for (box::FileServer& server : servers_) {
    auto device =
        box::FsDevice::create(*thread_, server, shared,
                              fault(fmt::format("files of '{}'", server.plan().tree.directory)));
    if (!device) return std::unexpected(device.error());
    files_.push_back(std::move(*device));
  }
  return make_net(setting);
}

Done Box::make_net(const GuestSetting& setting) {
  link::DirectNetPlan plan;
  const box::MemoryFile file = machine_->memory_file();
  plan.memory_file = UniqueFd(::fcntl(file.fd, F_DUPFD_CLOEXEC, 0));
  if (!plan.memory_file.valid()) {
    return std::unexpected(sys::SetupError{"share the machine's memory", errno, ""});
  }
  for (const box::MemoryRange& range : file.ranges) {
    // Its driver knows no other address of it.
    plan.regions.push_back({range.guest_address, range.size, range.guest_address, range.offset});
  }
  plan.device.mac = setting.network.guest_mac;
  plan.device.mtu = setting.network.mtu;
  plan.device.queue_pairs_max = plan_.net_queues;
  plan.workers = setting.workers;
  plan.tell = [warnings = warnings_](const std::string& line) { warnings->warn(line); };
  auto net = link::DirectNet::create(sys::real_kernel(), std::move(plan));
  if (!net) return std::unexpected(in_words("make the network device", net.error()));
  net_ = std::move(*net);
  return {};
}

Done Box::load() {
  std::vector<virtio::MmioDevice*> devices{console_.get(), rng_.get(), net_.get()};
  for (const auto& device : files_) devices.push_back(device.get());
  for (virtio::MmioDevice* const device : devices) {
    if (auto added = machine_->add(*device); !added) return added;
  }
  for (const box::InterruptToWatch& interrupt : machine_->interrupts_to_watch()) {
    auto watch = thread_->watch_interrupt(
        interrupt.fd, [machine = machine_.get(), gsi = interrupt.gsi] { machine->pulse(gsi); });
    if (!watch) return std::unexpected(in_words("watch an interrupt", watch.error()));
    interrupts_.push_back(std::move(*watch));
  }
  const auto image = box::make_image(kernel_);
  if (!image) return std::unexpected(image.error());
  box::CommandLinePlan words;
  if (telemetry::log_enabled(telemetry::LogLevel::kDebug)) words.words = box::KernelWords::kAll;
  auto loaded = machine_->load(kernel_.bytes, *image, box::command_line(words));
  // By a vector of its own, as an empty list would leave the memory to this one.
  kernel_.bytes = std::vector<std::uint8_t>();
  return loaded;
}

Done Box::open_session(const GuestSetting& setting) {
  const BoxCaller caller = box_caller();
  box::SessionPlan plan;
  plan.terminal = caller.terminal.has_value();
  plan.setup = box::emit(box::HostMessage(box_setup(plan_, setting, caller)));
  if (plan.setup.size() > box::kHostMessageMax) {
    return std::unexpected(
        sys::SetupError{"the command, its environment and its files of /etc", E2BIG, ""});
  }
  auto session = box::Session::create(*thread_, *console_, std::move(plan));
  if (!session) return std::unexpected(session.error());
  session_ = std::move(*session);
  return {};
}

std::vector<std::unique_ptr<link::Link>> Box::links() {
  std::vector<std::unique_ptr<link::Link>> links;
  for (std::size_t worker = 0; worker < net_->workers(); ++worker) {
    links.push_back(net_->link(worker));
  }
  return links;
}

// All is open by now, and there is no other thread yet.
std::expected<void, sys::SetupError> Box::start() {
  const sandbox::SeccompMode mode = sandbox::seccomp_mode_from_environment();
  if (mode != sandbox::SeccompMode::kOff) {
    if (auto left = sandbox::enter_empty_root(); !left) {
      telemetry::log_info("this process keeps its view of files: {}", left.error().describe());
    }
  }
  if (auto started = thread_->start([mode] { return sandbox::confine_device_thread(mode); });
      !started) {
    return started;
  }
  machine_begun_ = sys::steady_now(sys::real_kernel());
  stage("processors started");
  return machine_->start([mode] { return sandbox::confine_vcpu(mode); });
}

void Box::stop() {
  if (net_) net_->shut_down();
  if (machine_) machine_->stop();
  if (thread_) thread_->stop();
}

void Box::stage(std::string_view name) {
  const Duration since = sys::steady_now(sys::real_kernel()) - begun_;
  stages_.push_back({std::string(name), std::chrono::duration<double>(since).count()});
}

std::vector<BoxStage> Box::take_stages() {
  std::vector<BoxStage> stages = std::exchange(stages_, {});
  const double before = std::chrono::duration<double>(machine_begun_ - begun_).count();
  for (const box::Stage& told : session_->take_stages()) {
    constexpr double kNanoseconds = 1e9;
    stages.push_back({told.name, before + static_cast<double>(told.nanoseconds) / kNanoseconds});
  }
  return stages;
}

std::vector<sys::SetupError> Box::take_warnings() { return session_->take_warnings(); }

std::optional<int> Box::status() const {
  if (const auto failure = session_->failure()) return failure->status;
  return session_->exit_status();
}

std::optional<sys::SetupError> Box::failure() const {
  const auto failure = session_->failure();
  return failure ? std::optional(failure->error) : std::nullopt;
}

std::string Box::why_ended() const {
  const auto end = machine_->end();
  return end ? end->words : "the machine ended";
}

std::vector<int> Box::file_servers() const {
  std::vector<int> ends;
  for (const box::FileServer& server : servers_) ends.push_back(server.pidfd());
  return ends;
}

sys::SetupError Box::file_failure() const {
  return {fmt::format("{} has ended, and the machine's files with it", virtiofsd_.path), 0, ""};
}

}  // namespace

std::expected<std::unique_ptr<BoxParts>, sys::SetupError> make_box_parts(
    const BoxPlan& plan, const GuestSetting& setting) {
  auto made = std::make_unique<Box>(plan);
  if (auto done = made->make(setting); !done) return std::unexpected(done.error());
  return made;
}

}  // namespace sluice::serve
