#!/bin/busybox sh
# The first process of a guest. The kernel's command line says which serial line carries commands
# (kit_port=ttyS1). On it, one line each:
#   to the guest:    NUMBER COMMAND                       COMMAND is for sh -c
#   from the guest:  kit ready KERNEL                     once, when commands are taken
#                    kit done NUMBER STATUS OUT ERR       then OUT and ERR bytes: its two outputs
export PATH=/kit:/bin:/usr/bin HOME=/ LD_LIBRARY_PATH=/lib
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mkdir -p /dev/shm /run
for module in $(cat "/modules/$(uname -r)/order"); do
  insmod "/modules/$(uname -r)/$module" || echo "kit: no module $module"
done
ip link set lo up
# Connect cycles must not run out of TIME_WAIT buckets, and IPv6's first second is no part of them.
echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets
stty -F "/dev/$kit_port" raw -echo
exec 3<>"/dev/$kit_port"
echo "kit ready $(uname -r)" >&3
while IFS= read -r line <&3; do
  sh -c "${line#* }" >/run/out 2>/run/err </dev/null 3>&-
  status=$?
  echo "kit done ${line%% *} $status $(stat -c %s /run/out) $(stat -c %s /run/err)" >&3
  cat /run/out /run/err >&3
done
echo "kit: the serial line has ended"
poweroff -f
