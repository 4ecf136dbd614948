# shellcheck shell=bash disable=SC2034
# Shared by ./demo and ./check: packages, the tap device, colours. Sourced by bash.

# The program alone, and its package.
program_packages=(
  build-essential cmake ninja-build pkg-config python3 file
  libfmt-dev libcli11-dev nlohmann-json3-dev
  libmnl-dev libseccomp-dev libcap-ng-dev libc-ares-dev libtomlplusplus-dev
  libidn2-dev libpsl-dev libmicrohttpd-dev
  systemtap-sdt-dev
)
build_packages=(
  "${program_packages[@]}"
  libgtest-dev librapidcheck-dev libbenchmark-dev libabsl-dev valgrind
)
check_packages=(
  clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev
  iproute2 iputils-ping iperf3 curl nginx-light dnsutils tcpdump nftables traceroute netcat-openbsd
  openssl openssh-client openssh-server git util-linux procps pyflakes3 rinetd
  python3-pytest python3-pytest-xdist rootlesskit uidmap
  chromium prometheus tmux
)
# What tests/package reads packages with, and installs them in.
package_packages=(lintian mmdebstrap systemd)
# The guests of tests/machine. Their kernel is unpacked from its package, not installed.
machine_packages=(qemu-system-x86 user-mode-linux busybox-static dpdk-dev passt iperf3 curl dnsmasq-base
  less)
# The peers, the clients and the tools of the lab.
lab_packages=(
  iproute2 iperf3 iputils-ping util-linux passt slirp4netns
  rinetd haproxy nginx-light libnginx-mod-stream socat sockperf
  strace linux-perf dnsperf python3-matplotlib
)
demo_packages=(iproute2 curl dnsmasq-base util-linux libc-bin)

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' cyan=$'\e[36m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' cyan='' plain=''
fi

# Installs what is missing of the packages named; quick when nothing is.
install_packages() {
  local package missing=()
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    echo "missing packages: as root run: apt-get install ${missing[*]}" >&2
    return 1
  fi
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update && apt-get -qq -y install --no-install-recommends "${missing[@]}" >/dev/null
}

# Every user may open /dev/net/tun on an ordinary system; containers often lack it.
ensure_tun() {
  if ((EUID == 0)); then
    [[ -d /dev/net ]] || mkdir -p /dev/net
    [[ -e /dev/net/tun ]] || mknod /dev/net/tun c 10 200 || true
    chmod 666 /dev/net/tun 2>/dev/null || true
  fi
  if ! (exec 3<>/dev/net/tun) 2>/dev/null; then
    echo "cannot open /dev/net/tun: load the tun module, or pass the device into the container" >&2
    return 1
  fi
}
