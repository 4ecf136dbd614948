"""Level 1 for tests of `sluice box`: /dev/kvm, an installed kernel, and hosts in namespaces.

    10.77.0.1, fd77::1    level 1, in which boxes are started
    10.77.0.2, fd77::2    a host with a resolver, and a web server on port 80 (box_server.py)
    10.77.0.66            the same host, for what policy forbids
"""

import pathlib
import shlex
import tempfile

from labkit import processes
from machines import nested

# A box that is started on a busy machine, two levels down.
SECONDS = 240
WORLD = """
set -e
mkdir -p /run/netns
ip netns add srv
ip link add uplink type veth peer name eth0 netns srv
ip -n srv link set lo up
ip link set uplink up
ip -n srv link set eth0 up
ip address add 10.77.0.1/24 dev uplink
ip address add fd77::1/64 dev uplink nodad
ip -n srv address add 10.77.0.2/24 dev eth0
ip -n srv address add 10.77.0.66/24 dev eth0
ip -n srv address add fd77::2/64 dev eth0 nodad
ip route add default via 10.77.0.2
ip -6 route add default via fd77::2
rm -f /etc/resolv.conf
echo nameserver 10.77.0.2 >/etc/resolv.conf
ip netns exec srv setsid python3 {here}/box_server.py </dev/null >/run/server.log 2>&1 &
ip netns exec srv setsid dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv \\
  --user=root --pid-file= --bind-interfaces --listen-address=10.77.0.2 \\
  --address=/files.box.test/10.77.0.2 --address=/files.box.test/fd77::2 \\
  </dev/null >/run/dns.log 2>&1 &
for i in $(seq 300); do
  curl -fsS -o /dev/null --max-time 5 http://10.77.0.2/ && exit 0
  sleep 0.2
done
cat /run/server.log /run/dns.log >&2
exit 1
"""


class BoxPlace:
    """One level 1, in which tests have their boxes, from with to its end."""

    def __init__(self, options):
        self.options = options
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-box-")
        self.level = nested.Level(self._folder.name)

    def __enter__(self):
        try:
            self.level.start()
            here = pathlib.Path(__file__).resolve().parent
            self.level.ok(WORLD.format(here=here), SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.level.close()
        self._folder.cleanup()

    @property
    def sluice(self):
        return shlex.quote(self.options.sluice)

    def box(self, words, *options, before="", behind="", timeout=SECONDS):
        """The Result of a box: `words` is what its sh is to do; `before` stands in front of ours.

        A second processor is for tests of that.
        """
        line = " ".join([before, self.sluice, "box --cpus 1 --memory 256MiB",
                         *map(shlex.quote, options), "-- sh -c", shlex.quote(words), behind])
        return self.level.run(line, timeout)

    def ok(self, words, *options, **how):
        """The standard output of a box that must not fail."""
        done = self.box(words, *options, **how)
        if done.returncode != 0:
            raise processes.LabError(f"in a box, `{words}` ended with {done.returncode}: "
                                     f"{(done.stdout + done.stderr).strip()[-2000:]}")
        return done.stdout

    def left_behind(self):
        """What of boxes is still there: processes, and files where only level 1 has any."""
        return self.level.ok("ps -eo pid,comm,args | grep -E '[s]luice|[v]irtiofsd' | grep -v ps; "
                             "ls -d /dev/shm/* /run/sluice* 2>/dev/null; true")
