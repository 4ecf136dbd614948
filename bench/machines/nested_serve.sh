#!/bin/bash
# Commands for level 1 (nested.py), by the serial line that kit_port= names, a line each, as
# guest_init.sh has them. What they print they send to files of /scratch, which the outside reads as
# they grow. It is bash, as the first process has to reap what others leave.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
read -r line </proc/cmdline
port=${line##*kit_port=}
port=${port%% *}
ip link set lo up
chmod 666 /dev/kvm
mount -t debugfs none /sys/kernel/debug
# Its own kernel, where a package puts it; those that are installed on this machine are hidden.
read -r kernel </scratch/kernel
mkdir -p /lib/modules /boot
mount -t tmpfs none /lib/modules
mount -t tmpfs none /boot
ln -s "$kernel/modules" "/lib/modules/$(uname -r)"
cp "$kernel/vmlinuz" "/boot/vmlinuz-$(uname -r)"
hostname level1
stty -F "/dev/$port" raw -echo
exec 3<>"/dev/$port"
echo "kit ready $(uname -r)" >&3
while IFS= read -r line <&3; do
  bash -c "${line#* }" </dev/null 3>&-
  echo "kit done ${line%% *} $? 0 0" >&3
done
