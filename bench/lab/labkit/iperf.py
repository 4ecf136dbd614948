"""One iperf3 run and what may make its figures worthless.

Each run has a server of its own (`-1`) on a port of its own: a server that is still busy with the
run before answers with an error, and one that was left over would be measured in our place. The
figure is what the receiver got, because the sender also counts what only sits in its socket
buffer. UDP is not measured with iperf3: its receiver's figures come over the control connection,
which the flood it measures may starve.
"""

import itertools
import json
import subprocess

from .processes import LabError

_ports = itertools.cycle(range(5201, 6201))


def measure(network, place, family, direction, streams, seconds, congestion="cubic", port=None):
    """Runs iperf3 between `place` and srv; returns {"gbit": …, "bytes": …, "congestion": …}.

    `port` where the place reaches only one, such as a forwarder's listener.
    """
    port = port or next(_ports)
    server = network.popen(network.srv, ["iperf3", "-s", "-1", "-p", str(port)],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        network.listening(server, port)
        command = ["iperf3", "-c", place.server(family), "-p", str(port), "-t", str(seconds),
                   "-P", str(streams), "-J", "-C", congestion]
        command += {"out": [], "in": ["-R"], "bidir": ["--bidir"]}[direction]
        done = place.run(command, seconds + 20)
    finally:
        network.stop(server)
    return evaluate(done.stdout, direction)


def evaluate(text, direction):
    try:
        result = json.loads(text)
    except json.JSONDecodeError:
        raise LabError(f"iperf3 printed no JSON: {text[:200]!r}") from None
    if "error" in result:
        raise LabError(f"iperf3: {result['error']}")
    end = result["end"]
    parts = [end["sum_received"]]
    if direction == "bidir":
        parts.append(end["sum_received_bidir_reverse"])
    if any(part["bytes"] == 0 for part in parts):
        raise LabError(f"iperf3 {direction}: the receiver got nothing")
    return {
        "gbit": sum(part["bits_per_second"] for part in parts) / 1e9,
        "bytes": sum(part["bytes"] for part in parts),
        "congestion": end.get("sender_tcp_congestion") or end.get("receiver_tcp_congestion"),
    }
