"""QEMU's monitor, by QMP: a line of JSON each for a question, its answer, and events between."""

import json
import socket


class Refused(Exception):
    """QEMU says why it does not."""


class Monitor:
    """One connection to the socket of `-qmp`."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rwb")

    def __enter__(self):
        self._lines.readline()  # Its greeting.
        self.ask("qmp_capabilities")
        return self

    def __exit__(self, *_):
        self._lines.close()
        self._socket.close()

    def ask(self, command, **arguments):
        """What it answers."""
        question = {"execute": command, "arguments": arguments}
        self._lines.write(json.dumps(question).encode() + b"\n")
        self._lines.flush()
        while line := self._lines.readline():
            said = json.loads(line)
            if "error" in said:
                raise Refused(f"{command}: {said['error']['desc']}")
            if "return" in said:
                return said["return"]
        raise Refused(f"{command}: the monitor is closed")
