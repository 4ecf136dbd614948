"""Policies by name, with real programs."""

from harness import check_equal, each_family
from policy_world import BANNER, World


@each_family
def test_world_without_a_policy(t):
    """What the other tests are refused is there to be reached."""
    world = World(t)
    for url, who in (("https://ok.test/", "shared as ok.test"),
                     ("https://evil.test/", "shared as evil.test"),
                     ("https://a.wild.test/", "shared as a.wild.test"),
                     ("http://plain.test/", "plain"), ("http://alone.evil.test/", "evil")):
        done = world.curl(url, options=())
        check_equal(done.stdout, f"hello from {who}\n", f"{url}: {done.stderr}")
    out = t.python('s = socket.create_connection(("ssh.test", 22)); print(s.recv(64)); '
                   's.sendall(b"hello")')
    check_equal(out.strip(), repr(BANNER), "what ssh.test says")
    check_equal({first[2][:1] for first in world.first_bytes}, {b"\x16", b"h"}, "first bytes")
