#!/bin/sh
# slirp4netns.sh SLIRP4NETNS MTU COMMAND…
#
# Runs COMMAND in a user and network namespace of its own that slirp4netns serves, and ends with
# its status. COMMAND starts when slirp4netns says that the interface is configured.
set -eu
slirp=$1
mtu=$2
shift 2

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/made" "$folder/ready"

unshare --map-root-user --net sh -c '
  folder=$1; shift
  echo made >"$folder/made"
  # What comes is a 1 without the end of a line.
  head -c 1 "$folder/ready" >/dev/null
  exec "$@"' sh "$folder" "$@" &
command=$!
read -r _ <"$folder/made"

# Opened both ways, so that neither side waits for the other to open it.
exec 4<>"$folder/ready"
"$slirp" --configure --mtu="$mtu" --disable-host-loopback --enable-ipv6 --ready-fd=4 \
  "$command" tap0 4>&4 >&2 &
serving=$!

status=0
wait "$command" || status=$?
kill "$serving" 2>/dev/null || true
exit "$status"
