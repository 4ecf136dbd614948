"""The events of a run, as people and other tools read them."""

import json
import subprocess

from harness import check, check_equal, each_family, echo
from test_policy import host_prefix


@each_family
def test_observe_and_convert_read_what_events_writes(t):
    t.listen(7000, echo)
    path = t.file("events.jsonl")
    code = 's = connect(args[0], 7000); s.sendall(b"x"); s.recv(1); s.shutdown(1); s.recv(1)\n' \
           "print(outcome(args[0], 7001)[0])\n"
    t.python(code, t.srv, options=["--events", path, "--deny", host_prefix(t, t.srv) + ":7001"])

    def said(*words):
        done = subprocess.run([t.path, *words], capture_output=True, text=True, timeout=60,
                              check=False)
        check_equal((done.returncode, done.stderr), (0, ""), f"{words}")
        return done.stdout.splitlines()

    shown = said("observe", path)
    check("\x1b" not in "".join(shown), "colours in a file")
    check(any("open" in line and ":7000/tcp" in line for line in shown), f"{shown}")
    denied = said("observe", "--denied", "--port", "7001", path)
    check(len(denied) == 1 and "denied-by-policy, by policy" in denied[0], f"{denied}")
    check_equal(said("observe", "--denied", "--port", "7000", path), [], "refusals of port 7000")
    lines = said("observe", "--json", "--type", "close", "--port", "7000", path)
    check_equal([json.loads(line)["address"] for line in lines], [t.srv], "addresses")
    ocsf = [json.loads(line) for line in said("log", "convert", "--to", "ocsf", path)]
    # The end of one flow and the refusal of the next come in either order.
    check_equal(sorted((e["activity_id"], e["dst_endpoint"]["port"]) for e in ocsf
                       if e["dst_endpoint"].get("port") in (7000, 7001)),
                [(1, 7000), (2, 7000), (5, 7001)], "activities of OCSF")
    eve = [json.loads(line) for line in said("log", "convert", "--to", "eve", path)]
    check_equal({e["dest_port"]: e["flow"].get("action") for e in eve
                 if e["dest_port"] in (7000, 7001)},
                {7000: None, 7001: "drop"}, "actions of EVE")
    zeek = [line.split("\t") for line in said("log", "convert", "--to", "zeek", path)]
    zeek = [fields for fields in zeek if fields[0][0] != "#"]
    states = {fields[5]: fields[11] for fields in zeek if fields[5] in ("7000", "7001")}
    check_equal(states, {"7000": "SF", "7001": "REJ"}, "states of Zeek")
    community = {e["dest_port"]: e["community_id"] for e in eve}
    check(all(fields[14] == community[int(fields[5])] for fields in zeek), "community ids differ")
