#!/bin/busybox sh
# The first process of level 1 (nested.py): modules, then the files of this machine as the root,
# read-only below an overlay in memory, and nested_serve.sh in the place of this one.
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in $(cat "/modules/$(uname -r)/order"); do
  insmod "/modules/$(uname -r)/$module" || echo "nested: no module $module"
done
mkdir -p /lower /memory /level
mount -t virtiofs -o ro root /lower
mount -t tmpfs -o mode=755 memory /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work overlay /level
mkdir -p /level/scratch
mount -t virtiofs scratch /level/scratch
mount -t proc proc /level/proc
mount -t sysfs sysfs /level/sys
mount -t devtmpfs dev /level/dev
mkdir -p /level/dev/pts /level/dev/shm
mount -t devpts -o ptmxmode=666 devpts /level/dev/pts
mount -t tmpfs -o mode=1777 shm /level/dev/shm
mount -t tmpfs -o mode=755 run /level/run
umount /proc /dev
# A user namespace is refused to what is in a chroot, and allowed to what has switched its root.
exec switch_root /level /bin/bash /scratch/serve
