"""Ours under a policy of names, beside itself without one: what it costs that names decide.

The guest reaches srv by a name that the policy allows: it asks for the name before each sample, as
a program does, and connects to the address of the answer. So each connection is led by a pin, and
its first bytes are looked at.
"""

import os
import tempfile

from . import processes
from .engines import IDLE, Guest, Sluice, sluice_command

SERVER_NAME = "server.lab.test"
RULES = 1000
# dnsperf asks for these.
KNOWN = [f"n{number}.example" for number in range(RULES)]
POLICY = f"""version = 1
default = "deny"

[[rule]]
allow   = [{", ".join(f'"{name}:443"' for name in KNOWN)}]
private = ["192.0.2.0/24"]

[[rule]]
allow   = ["{SERVER_NAME}:1-65535", "{SERVER_NAME}:1-65535/udp", "{SERVER_NAME}/icmp"]
private = ["10.0.0.0/8", "fd00::/8"]
"""


class NamedGuest(Guest):
    def server(self, family):
        asked = self.run(["dig", "+short", "+tries=2", f"@{self.dns(family)}", SERVER_NAME,
                          "A" if family == 4 else "AAAA"], 10)
        found = asked.stdout.strip()
        if found != super().server(family):
            raise processes.LabError(f"{SERVER_NAME} leads to {found or 'nothing'}")
        return found


class SluiceNames(Sluice):
    name = "sluice-names"
    program = "sluice"
    apart = True

    def start(self, network, path, mtu, _family):
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="ascii") as file:
            file.write(POLICY)
            file.flush()
            os.chmod(file.name, 0o644)  # The engine is an ordinary user's.
            command = sluice_command(path, IDLE, mtu, ("--policy", file.name))
            return NamedGuest(self.name, network, command, self.dns)
