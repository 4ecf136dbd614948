"""The page and the control socket behind it, under garbage, floods and clients that do not read,
while the guest's flows carry data: these go on, and memory has a bound."""

import http.client
import json
import os
import select
import threading
import time

from harness import check, check_equal, echo, v4_only
from test_control import abstract
from test_web import Page, end, start

FLOWS = 8
SECONDS = 5
# So many are sent before an answer is read.
PIPELINE = 64
MEMORY_MAX_KIB = {"the page": 60_000, "the run": 60_000}

# Each flow sends 100 bytes and waits until they are back, fifty times a second. For each line that
# comes: how many rounds there were since the last, and how long the longest took.
TALKERS = """
import json, threading
lock = threading.Lock()
rounds, worst, over = [0] * 8, 0.0, False
flows = [connect(args[0], 7) for _ in range(8)]
def talk(number):
    global worst
    s = flows[number]
    while not over:
        began = time.monotonic()
        s.sendall(b"x" * 100)
        left = 100
        while left > 0:
            got = len(s.recv(left))
            if got == 0: raise SystemExit
            left -= got
        with lock:
            rounds[number] += 1
            worst = max(worst, time.monotonic() - began)
        time.sleep(0.02)
crowd = [threading.Thread(target=talk, args=(i,)) for i in range(8)]
for one in crowd: one.start()
print("up", flush=True)
for line in sys.stdin:
    with lock:
        print(json.dumps({"rounds": rounds, "worst": worst}), flush=True)
        rounds, worst = [0] * 8, 0.0
over = True
"""


class Flood:
    """Requests that are sent on one connection, many before their answers are read, for as long as
    it goes on. It is made anew if whoever is asked ends it."""

    def __init__(self, connect, request, answer):
        self.answered = 0
        self.broken = 0
        self._connect = connect
        self._batch = request * PIPELINE
        self._answer = answer  # What each answer has once.
        self._thread = threading.Thread(target=self._run)
        self._over = False
        self._thread.start()

    def stop(self):
        self._over = True
        self._thread.join()
        return self.answered

    def _run(self):
        while not self._over:
            try:
                with self._connect() as one:
                    one.settimeout(1)
                    self._ask(one)
            except OSError:
                self.broken += 1
                time.sleep(0.01)

    def _ask(self, one):
        while not self._over:
            one.sendall(self._batch)
            count, rest = 0, b""
            while count < PIPELINE:
                piece = one.recv(1 << 18)
                if not piece:
                    raise OSError("it was ended")
                # An answer's mark may be cut in two.
                whole = rest + piece
                seen = whole.count(self._answer)
                rest = whole[-(len(self._answer) - 1):]
                count += seen
                self.answered += seen


class Deaf:
    """Asks as much as is taken, within bounds, and reads nothing."""

    def __init__(self, connect, request):
        self._socket = connect()
        self._socket.setblocking(False)
        try:
            for _ in range(500):  # Of one who has subscribed all is taken, and none of it heard.
                if not select.select([], [self._socket], [], 0.2)[1]:
                    break
                self._socket.send(request * 100)
        except OSError:
            pass

    def close(self):
        self._socket.close()


def peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def rounds_of(child):
    child.stdin.write(b"now\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def request_of(page, method, path, body="", **headers):
    """A request as bytes, with what lets it in."""
    lines = {"Host": page.authority, "Cookie": page.cookie, "X-Sluice-Key": page.key,
             "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode()


def throw_garbage(connect, rubbish):
    for piece in rubbish:
        with connect() as one:
            one.settimeout(10)
            try:
                one.sendall(piece)
                one.recv(100)
            except OSError:
                pass


def ask_on(page, run, seconds):
    """One request after the other, as a page does that is looked at; how many had an answer."""
    until = time.monotonic() + seconds
    good = 0
    while time.monotonic() < until:
        try:
            good += page.ask(run, "status")[0] == 200
        except (OSError, http.client.HTTPException):
            pass
    return good


@v4_only
def test_flows_go_on_under_garbage_floods_and_slow_readers(t, record_property):
    t.listen(7, echo)
    child = start(t, TALKERS, t.srv)
    with Page(t) as page:
        page.open_session()
        (run,) = page.runs()
        name = run["run"]
        engine = t.engine_pid(child)
        pids = {"the page": page.child.pid, "the run": engine}

        def control():
            return abstract(t, name)

        throw_garbage(page.connect, (
            b"\x16\x03\x01\x00\x00", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000,
            b"POST /api/ask HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
            os.urandom(50_000)))
        throw_garbage(control, (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000, b"[" * 60_000 + b"\n",
                                b'{"do":' * 1000 + b"\n", os.urandom(50_000)))
        check_equal(page.ask(name, "x" * 60_000)[0], 200, "a request that no run knows")
        check_equal(page.request("POST", "/api/ask", b"{" * 70_000)[0], 413, "a long body")
        check_equal(page.request("POST", "/api/ask", b"[" * 60_000)[0], 400, "a deep body")

        ask = json.dumps({"run": name, "do": "status"})
        flows = request_of(page, "POST", "/api/ask", json.dumps({"run": name, "do": "flows"}))
        rounds_of(child)
        time.sleep(SECONDS)
        quiet = rounds_of(child)
        deaf = [Deaf(page.connect, flows) for _ in range(10)]
        events = request_of(page, "GET", f"/api/events?run={name}")
        deaf += [Deaf(page.connect, events)]
        deaf += [Deaf(control, b'{"do":"flows"}\n'), Deaf(control, b'{"do":"subscribe"}\n')]
        rounds_of(child)
        strange = request_of(page, "GET", "/api/runs", Host="evil.test")
        # Of its eight places a run gives the page's two, the deaf ones two, and these two.
        floods = {
            "files": [Flood(page.connect, request_of(page, "GET", "/icon.svg"), b"HTTP/1.1 200")
                      for _ in range(3)],
            "strangers": [Flood(page.connect, strange, b"HTTP/1.1 403")],
            "asks": [Flood(page.connect, request_of(page, "POST", "/api/ask", ask), b"HTTP/1.1 ")
                     for _ in range(3)],
            "control": [Flood(control, b'{"do":"status"}\n', b'"ok":true') for _ in range(2)],
        }
        patient = ask_on(page, name, SECONDS)
        loaded = rounds_of(child)
        rates = {kind: round(sum(one.stop() for one in some) / SECONDS)
                 for kind, some in floods.items()}
        figures = {"quiet": quiet, "loaded": loaded, "requests a second": rates,
                   "all": sum(rates.values()), "patient": patient,
                   "KiB": {what: peak_kib(pid) for what, pid in pids.items()}}
        record_property("figures", figures)
        print(f"\nflood: {json.dumps(figures)}")
        # Whoever asks for a little is heard, meanwhile and afterwards.
        check(patient > 10, f"{patient} asks were answered with 200 under the flood")
        check_equal(page.ask(name, "status")[0], 200, "an ask afterwards")
        check(len(page.runs()) == 1, "the list of runs afterwards")
        for one in deaf:
            one.close()
        check_equal(len(loaded["rounds"]), FLOWS, "flows")
        check(min(loaded["rounds"]) > 10, f"a flow stood still: {figures}")
        check(loaded["worst"] < 2, f"an answer of the guest's flow took long: {figures}")
        check(all(rate > 0 for rate in rates.values()), f"nobody was answered: {figures}")
        for what, most in MEMORY_MAX_KIB.items():
            check(figures["KiB"][what] < most, f"memory of {what}: {figures}")
    end(child)
