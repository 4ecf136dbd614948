#include "box/boot/command_line.h"

namespace sluice::box {

std::string command_line(const CommandLinePlan& plan) {
  // There is no PCI to look for. A negative panic= reboots without a pause, and ACPI's reset
  // register ends the machine; an oops of the kernel is a panic, as nobody goes on working there.
  // KVM gives time, so that the rate of the TSC need not be measured again.
  std::string line =
      "console=ttyS0 earlyprintk=ttyS0 panic=-1 oops=panic pci=off tsc=reliable no_timer_check "
      "random.trust_cpu=on";
  if (plan.words == KernelWords::kFew) line += " quiet";
  if (!plan.extra.empty()) line += " " + plan.extra;
  return line;
}

}  // namespace sluice::box
