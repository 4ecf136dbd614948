#!/bin/busybox sh
# What udhcpc calls. The lease is kept in /run/lease for tests to look at.
set >"/run/lease.$1"
case $1 in
  bound | renew)
    ip addr replace "$ip/$mask" dev "$interface"
    for router in $router; do ip route replace default via "$router" dev "$interface"; break; done
    for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    ;;
  deconfig) ip link set "$interface" up ;;
esac
