"""The loopback path of UDP: ports of the guest's loopback that lead to the host's (-U)."""

import threading

from harness import LOOPBACK, check_equal, each_family
from test_control import Run
from test_loopback import each_way

ASK = """
box = socket.socket(socket.AF_INET6 if ":" in args[0] else socket.AF_INET, socket.SOCK_DGRAM)
box.settimeout(5)
def ask(port, data):
    for _ in range(3):
        box.sendto(data, (args[0], port))
        try: return box.recvfrom(65536)
        except TimeoutError: pass
    return b"", (None, None)
"""


def echoes(t, port):
    """Whom it has heard, as long as the test lasts."""
    heard = []
    box = t.udp(port, t.net.hst, LOOPBACK[t.family])

    def serve():
        try:
            while True:
                data, peer = box.recvfrom(65536)
                heard.append(peer)
                box.sendto(data, peer)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    return heard


@each_way
@each_family
def test_a_port_of_the_guests_loopback_leads_to_the_hosts(t, way):
    echoes(t, 7000)
    done = t.python(ASK + """
for size in (0, 1, 1400, 9000, 60000):
    data = os.urandom(size)
    got, peer = ask(7053, data)
    print(got == data, peer[1])
""", LOOPBACK[t.family], options=["-U", "7053:7000", *way])
    check_equal(done, "True 7053\n" * 5, "datagrams, and whom they come from")


@each_family
def test_each_program_has_its_own_answers(t):
    heard = echoes(t, 7000)
    done = t.python("""
family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
boxes = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(50)]
for number, box in enumerate(boxes):
    box.settimeout(10); box.sendto(b"%d" % number, (args[0], 7000))
print(all(box.recv(100) == b"%d" % number for number, box in enumerate(boxes)))
""", LOOPBACK[t.family], options=["-U", "7000"])
    check_equal(done, "True\n", "fifty programs")
    check_equal(len(set(heard)), 50, "ports that the host's server has seen")


@each_family
def test_they_are_flows_that_can_be_seen_and_ended(t):
    echoes(t, 7000)
    run = Run(t, ASK + """
ask(7000, b"x" * 100); print("up"); sys.stdin.readline()
print(ask(7000, b"again")[0])
""", LOOPBACK[t.family], options=["-U", "7000"])
    check_equal(run.line(), "up", "the guest")
    (flow,) = [flow for flow in run.flows() if flow["path"] == "relay"]
    check_equal((flow["proto"], flow["address"], flow["port"], flow["bytes_to_host"]),
                ("udp", LOOPBACK[t.family], 7000, 100), "what is told of it")
    run.ctl_ok("kill", flow["flow"])
    run.say()
    # A datagram after the end of a flow begins another.
    check_equal(run.line(), "b'again'", "what comes back")
    run.finish()
