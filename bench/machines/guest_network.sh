#!/bin/busybox sh
# Brings the guest's one interface up, IPv4 by DHCP and IPv6 by router advertisements; ends when
# both have an address, or with status 1 after a minute. Words: 4 or 6 for that family alone.
for link in eth0 vec0; do [ -e /sys/class/net/$link ] && break; done
[ -e /sys/class/net/$link ] || { echo "no network interface" >&2; exit 1; }
echo $link >/run/link
ip link set $link up
if [ "$1" != 6 ]; then
  # Not in the background: it ends with its first lease.
  udhcpc -i $link -q -n -f -t 60 -T 1 -s /kit/dhcp || exit 1
fi
[ "$1" = 4 ] && exit 0
waited=0
# Global (00), and neither tentative nor duplicated.
until awk -v link=$link '$4 == "00" && $5 !~ /[4-7c-f].|.[48c]/ && $6 == link { found = 1 }
    END { exit !found }' /proc/net/if_inet6 && ip -6 route | grep -q ^default; do
  waited=$((waited + 1))
  [ $waited -le 600 ] || { echo "no IPv6 address" >&2; ip addr >&2; exit 1; }
  usleep 100000
done
