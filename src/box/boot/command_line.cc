#include "box/boot/command_line.h"

namespace sluice::box {

std::string command_line(const CommandLinePlan& plan) {
  // There is no PCI to look for. A negative panic= reboots without a pause, and an oops is a panic,
  // as nobody goes on working there. A kernel on reduced hardware would reboot by EFI and, where it
  // has none, by a BIOS that is not there; ACPI's reset register must be asked for. KVM gives time,
  // so that the rate of the TSC need not be measured again.
  // A console shows what was said before it, so that `quiet` stands before the first.
  std::string line = plan.words == KernelWords::kFew ? "quiet " : "";
  line +=
      "console=ttyS0 earlyprintk=ttyS0 panic=-1 oops=panic reboot=acpi pci=off tsc=reliable "
      "no_timer_check random.trust_cpu=on";
  if (!plan.extra.empty()) line += " " + plan.extra;
  return line;
}

}  // namespace sluice::box
