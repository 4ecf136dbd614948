"""slirp4netns: it serves a namespace that somebody else made, so slirp4netns.sh makes one."""

import os

from . import engines, processes

SCRIPT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "slirp4netns.sh")


class Slirp4netns(engines.Engine):
    """IPv6 is what it calls experimental: the guest takes its address from an advertisement."""

    name = "slirp4netns"
    package = "slirp4netns"
    dns = {4: "10.0.2.3"}

    def command(self, path, command, mtu=None):
        return ["sh", SCRIPT, path, str(mtu or 1500), *command]

    def start(self, network, path, mtu, family):
        place = super().start(network, path, mtu, family)
        if family == 4:
            return place
        show = ["sh", "-c", "ip -6 addr show scope global | grep inet6 | grep -qv tentative"]
        processes.wait_until(lambda: place.run(show, 10).returncode == 0, 10,
                             "slirp4netns advertises no IPv6 prefix")
        return place
