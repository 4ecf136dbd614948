"""`sluice web`: who gets in, and what a person sees and does on its page, in a real browser."""

import http.client
import json
import os
import re
import subprocess
import time

import pytest

from browser import Browser
from harness import (ENVIRONMENT, NOBODY, check, check_equal, echo, finish, read_line, socket_in,
                     v4_only)
from labkit import processes
from policy_world import World

# Where pictures of the page are left to be looked at; nowhere, if it is not set.
PICTURES = os.environ.get("SLUICE_WEB_PICTURES")
WAIT = 'print("up", flush=True); sys.stdin.readline()'


class Page:
    """The server of the page, and a client of it that is no browser."""

    def __init__(self, t, *words, env=ENVIRONMENT):
        self.t = t
        self.child = subprocess.Popen(
            ["ip", "netns", "exec", t.net.hst, *NOBODY, t.path, "web", *words],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.url = read_line(self.child, 120)
        match = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#([0-9a-f]{64})", self.url)
        check(match, self.url)
        self.port, self.token = int(match.group(1)), match.group(2)
        self.authority = f"127.0.0.1:{self.port}"
        self.cookie = self.key = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        status, _, said = finish(self.child)
        check_equal((status, said), (0, ""), "how sluice web ended")

    def connect(self):
        opened = socket_in(self.t.net.hst, self.t.family, 1)
        opened.settimeout(30)
        opened.connect(("127.0.0.1", self.port))
        return opened

    def request(self, method, path, body=None, **headers):
        """(status, headers, body). Headers that are None are left out."""
        wanted = {"Host": self.authority, "Content-Type": "application/json" if body else None,
                  "Cookie": self.cookie, "X-Sluice-Key": self.key}
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.sock = self.connect()
        text = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in wanted.items():
            if value is not None:
                connection.putheader(name, value)
        if text is not None:
            connection.putheader("Content-Length", str(len(text)))
        connection.endheaders(text)
        answer = connection.getresponse()
        result = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return result

    def open_session(self):
        status, headers, body = self.request("POST", "/api/session", {"token": self.token})
        check_equal(status, 200, "the session")
        self.cookie = headers["Set-Cookie"].partition(";")[0]
        self.key = json.loads(body)["key"]
        return headers

    def ask(self, run, what, **members):
        status, _, body = self.request("POST", "/api/ask", {"run": run, "do": what, **members})
        return status, json.loads(body)

    def runs(self):
        status, _, body = self.request("GET", "/api/runs")
        check_equal(status, 200, "the list of runs")
        return [run["answer"] for run in json.loads(body)["runs"]]


@pytest.fixture
def family():
    return 4


def start(t, code=WAIT, *arguments, options=()):
    child = t.start_python(code, *arguments, options=options, stdin=subprocess.PIPE)
    check_equal(read_line(child, 60), "up", "the guest")
    return child


def end(child):
    finish(child)  # Which closes its standard input.


def test_who_has_not_opened_the_page_gets_nothing(t):
    """Another host's name, another page, no token, no cookie, no key: 403 each."""
    child = start(t)
    with Page(t) as page:
        page.open_session()
        (run,) = page.runs()
        check_equal(page.ask(run["run"], "status")[0], 200, "what the page may ask")
        forbidden = {
            "DNS rebinding": {"Host": "evil.test"},
            "... with the port": {"Host": f"evil.test:{page.port}"},
            "localhost is another name": {"Host": f"localhost:{page.port}"},
            "cross-origin": {"Origin": "http://evil.test"},
            "a sandboxed frame": {"Origin": "null"},
            "another port's page": {"Origin": "http://127.0.0.1:8080", "Sec_Fetch_Site": "same-site"},
            "a form of another site": {"Sec_Fetch_Site": "cross-site"},
            "no cookie": {"Cookie": None},
            "no key": {"X_Sluice_Key": None},
            "the token for a key": {"X_Sluice_Key": page.token},
            "the token in Referer": {"X_Sluice_Key": None, "Cookie": None,
                                     "Referer": page.url},
        }
        for what, headers in forbidden.items():
            for method, path, body in (("POST", "/api/ask", {"run": run["run"], "do": "status"}),
                                       ("GET", "/api/runs", None),
                                       ("GET", f"/api/events?run={run['run']}", None)):
                status, _, said = page.request(method, path, body, **headers)
                check_equal(status, 403, f"{what}, {path}: {said[:200]}")
                check(run["run"].encode() not in said, f"{what}: {said}")
        for token in ("", "0" * 64, page.token[:-1], page.key):
            status, headers, _ = page.request("POST", "/api/session", {"token": token})
            check_equal((status, "Set-Cookie" in headers), (403, False), f"the token {token!r}")
        check_equal(page.request("GET", f"/api/runs?token={page.token}", Cookie=None)[0], 403,
                    "a token in the query")
        check_equal(page.request("POST", "/api/ask", b"run=x", Content_Type="text/plain")[0], 415,
                    "a form's type")
        check_equal(page.request("DELETE", "/api/ask")[0], 405, "a method")
        check_equal(page.request("OPTIONS", "/api/ask", Origin="http://evil.test")[0], 403,
                    "a preflight")
    end(child)


def test_every_answer_keeps_the_browser_strict(t):
    with Page(t) as page:
        headers = page.open_session()
        for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
            check(part in headers["Set-Cookie"], headers["Set-Cookie"])
        for method, path, status in (("GET", "/", 200), ("GET", "/app.js", 200),
                                     ("GET", "/nothing", 404), ("GET", "/api/runs", 200),
                                     ("GET", "/../../etc/passwd", 404), ("GET", "/api/x", 404)):
            got, headers, _ = page.request(method, path)
            check_equal(got, status, path)
            policy = headers["Content-Security-Policy"]
            check("default-src 'none'" in policy and "unsafe" not in policy, policy)
            check_equal(headers["X-Content-Type-Options"], "nosniff", path)
            check_equal(headers["Referrer-Policy"], "no-referrer", path)
            check_equal(headers["Cache-Control"], "no-store", path)
            check("Access-Control-Allow-Origin" not in headers, path)


def test_guest_by_host_loopback_is_forbidden(t):
    """It can connect and knows everything but the token."""
    with Page(t) as page:
        code = """
import http.client
for host in (f"127.0.0.1:{args[0]}", f"10.0.2.2:{args[0]}"):
    for method, path, body in (("GET", "/api/runs", None), ("POST", "/api/session", '{"token":""}')):
        c = http.client.HTTPConnection("10.0.2.2", int(args[0]), timeout=20)
        c.putrequest(method, path, skip_host=True)
        for name, value in (("Host", host), ("Origin", f"http://{host}"),
                            ("Content-Type", "application/json"),
                            ("Content-Length", str(len(body or "")))):
            c.putheader(name, value)
        c.endheaders(body.encode() if body else None)
        print(c.getresponse().status)
"""
        status, out, said = finish(t.start_python(code, page.port, options=["--host-loopback"]), 60)
        check_equal((status, out.split()), (0, ["403"] * 4), f"what the guest got: {said}")


def test_events_come_as_they_happen(t):
    t.listen(7, echo)
    child = start(t, 'print("up", flush=True); sys.stdin.readline(); s = connect(args[0], 7);'
                     's.sendall(b"x"); s.recv(1); print("done", flush=True); sys.stdin.readline()',
                  t.srv)
    with Page(t) as page:
        page.open_session()
        (run,) = page.runs()
        stream = page.connect()
        stream.sendall(f"GET /api/events?run={run['run']} HTTP/1.1\r\nHost: {page.authority}\r\n"
                       f"Cookie: {page.cookie}\r\nX-Sluice-Key: {page.key}\r\n\r\n".encode())
        heard = b""

        def hear(*words):
            nonlocal heard
            until = time.monotonic() + 20
            while not all(word in heard for word in words):
                check(time.monotonic() < until, f"{words} never came: {heard[-500:]}")
                piece = stream.recv(65536)
                check(piece, f"the stream ended without {words}: {heard[-500:]}")
                heard += piece

        hear(b"text/event-stream", b"event: begin")
        child.stdin.write(b"go\n")
        child.stdin.flush()
        check_equal(read_line(child), "done", "the guest")
        hear(b'"type":"open"')
        end(child)
        hear(b"event: end")
        check(b'"type":"close"' in heard and b'"type":"end"' in heard, heard[-600:])
        stream.close()
        check_equal(page.ask(run["run"], "status")[0], 502, "a run that has ended")


def picture(browser, name):
    """What is shown is fit to be read: wide and narrow, light and dark."""
    for width, dark in ((400, False), (400, True), (1180, True), (1180, False)):
        browser.look(width=width, height=800, dark=dark)
        # Two frames, until it is drawn so.
        browser.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if PICTURES:
            kind = f"{'narrow' if width == 400 else 'wide'}-{'dark' if dark else 'light'}"
            browser.picture(os.path.join(PICTURES, f"{name}-{kind}.png"))
        check_equal(browser.faults(), [], f"{name} at {width}{', dark' if dark else ''}")


ROWS = "[...document.querySelectorAll('#view tbody tr')].map(row => row.innerText)"


@v4_only
def test_a_rule_is_made_of_a_refusal(t):
    """Names that are hostile are shown as text, and what was refused is allowed by three clicks."""
    world = World(t)
    code = r"""
print("up", flush=True)
def look(name):
    try:
        socket.create_connection((name, 443), 10).close()
        return "reached"
    except OSError as error:
        return "refused"
def ask(name):
    # A question whose labels are what they are.
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b"."))
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(20)
    s.sendto(b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\x00\x00\x01\x00\x01",
             ("10.0.2.3", 53))
    s.recv(4096)
    return "asked"
for line in sys.stdin.buffer:
    name = line.strip()
    print(ask(name[4:]) if name.startswith(b"ask ") else look(name.decode()), flush=True)
"""
    child = start(t, code, options=["--allow", "plain.test:80"])

    def look(name):
        child.stdin.write(name.encode() + b"\n")
        child.stdin.flush()
        return read_line(child, 60)

    check_equal(look("alone.evil.test"), "refused", "a name that is not listed")
    with Page(t) as page, Browser(t) as browser:
        browser.go(page.url)
        browser.wait("document.querySelector('#runs option') !== null")
        check_equal(browser.value("location.hash"), "", "the token in the address")
        browser.click("#tab-refused")
        there = f"{ROWS}.some(row => row.includes('alone.evil.test'))"
        until = time.monotonic() + 60
        while not browser.value(there) and time.monotonic() < until:
            look("alone.evil.test")
            time.sleep(0.5)
        browser.wait(there)
        look("ask <img src=x onerror=alert(1)>.evil.test")
        look("ask a\x1b[31mred.evil.test")
        look("ask \u202egro.elgoog.evil.test")
        look("ask " + ".".join(["x" * 60] * 4))
        browser.wait(f"{ROWS}.some(row => row.includes('img'))")
        check_equal(browser.value("document.querySelectorAll('#view img').length"), 0, "images")
        text = browser.value("document.body.innerText")
        check(all(ord(c) >= 32 or c in "\n\t" for c in text) and "\u202e" not in text,
              f"control characters on the page: {text!r}")
        picture(browser, "refused")
        browser.click("#tab-dns")
        browser.wait(f"{ROWS}.some(row => row.includes('alone.evil.test') || row.includes('img'))")
        picture(browser, "dns")
        browser.click("#tab-export")
        picture(browser, "export")
        browser.click("#tab-refused")
        browser.click("[data-rule='alone.evil.test']")
        browser.wait("document.querySelector('#rule').open")
        check("--allow 'alone.evil.test" in browser.value("document.querySelector('#rule').innerText"),
              "the option")
        picture(browser, "rule")
        browser.click("#apply-rule")
        browser.wait("!document.querySelector('#rule').open")
        check_equal(look("alone.evil.test"), "reached", "... after the rule")
        processes.wait_until(lambda: any(first[0] == "evil" for first in world.first_bytes), 20,
                             "the server has seen no connection")
        browser.click("#tab-policy")
        browser.wait(f"{ROWS}.some(row => row.includes('alone.evil.test') && !row.includes('never'))")
        picture(browser, "policy")
        check_equal(browser.messages, [], "what the browser complained about")
    end(child)


@v4_only
def test_flows_are_seen_filtered_and_ended(t):
    t.listen(7, echo)
    t.listen(8, echo)
    code = """
flows = [connect(args[0], port) for port in (7, 8, 8)]
for s in flows: s.sendall(b"x" * 3000)
flows[0].settimeout(None)
print("up", flush=True)
try:
    while True:
        if not flows[0].recv(65536): break
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
sys.stdin.readline()
"""
    child = start(t, code, t.srv)
    with Page(t) as page, Browser(t) as browser:
        browser.go(page.url)
        browser.wait(f"{ROWS}.some(row => row.includes('3 flows'))")
        # By keys alone: "/" leads to the filter.
        browser.key("/")
        for letter in "port=7":
            browser.key(letter)
        browser.wait(f"{ROWS}.some(row => row.includes('1 flow'))")
        browser.value("document.querySelector('#filter').value = 'port=x'; "
                      "document.querySelector('#filter').dispatchEvent(new Event('input'))")
        browser.wait("!document.querySelector('#filter-error').hidden")
        browser.value("document.querySelector('#filter').value = 'port=7'; "
                      "document.querySelector('#filter').dispatchEvent(new Event('input'))")
        browser.click("#view .open")
        browser.wait("document.querySelector('tr.flow button') !== null")
        picture(browser, "flows")
        browser.click("tr.flow button")
        check_equal(read_line(child, 60), "ECONNRESET", "the flow that was ended")
        browser.wait(f"{ROWS}.length === 0")
        check_equal(browser.messages, [], "what the browser complained about")
    end(child)


FILTERS = """
import("/filter.js").then(({parseFilter}) => {
  const event = {type: "deny", name: "API-1.Example.org", proto: "tcp", port: 443,
    address: "192.0.2.7", reason: "name-unlisted", flow: "00c0ffee00c0ffee"};
  const six = {...event, address: "2001:db8::7", name: null, type: "close"};
  const wants = (text, what) => {
    try { return parseFilter(text)(what); } catch (error) { return "error"; }
  };
  return CASES.map(text => [wants(text, event), wants(text, six)]);
})
"""


@v4_only
def test_filter_has_the_grammar_of_observe(t):
    """The page's filter and `sluice observe` choose the same of two events."""
    words = ["", "denied", "name=*.example.org", "name=.example.org", "name=api-*.example.org",
             "name=example.org", "name=*", "name=a*b*c", "name=a.*", "proto=tcp", "proto=tcp proto=udp",
             "proto=udp", "proto=sctp", "port=80-443", "port=22,443", "port=443-80", "port=x",
             "port=80 port=443", "peer=192.0.2.0/24", "peer=2001:db8::/32", "peer=192.0.2.8",
             "peer=nowhere", "reason=name-unlisted", "reason=quota", "type=deny", "type=close",
             "type=nothing", "flow=00C0FFEE00C0FFEE", "denied port=443", "denied port=80",
             "strange=1", "name", "port="]
    base = {"v": 1, "seq": 1, "time": "2026-03-01T12:00:00Z", "run": "a", "type": "deny",
            "flow": "00c0ffee00c0ffee", "proto": "tcp", "direction": "out", "guest": "10.0.2.15",
            "guest_port": 1, "name": "API-1.Example.org", "name_source": "dns",
            "address": "192.0.2.7", "port": 443, "reason": "name-unlisted", "decided_by": "policy"}
    six = {**base, "seq": 2, "address": "2001:db8::7", "name": None, "type": "close"}
    path = t.file("events.jsonl", json.dumps(base) + "\n" + json.dumps(six) + "\n")

    def observed(text):
        options = []
        for word in text.split():
            kind, equals, value = word.partition("=")
            if not equals and kind != "denied":
                return ["error", "error"]
            options += [f"--{kind}", value] if equals else [f"--{kind}"]
        done = subprocess.run([t.path, "observe", "--json", *options, path], capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode == 2:
            return ["error", "error"]
        seen = {json.loads(line)["seq"] for line in done.stdout.splitlines()}
        return [1 in seen, 2 in seen]

    with Page(t) as page, Browser(t) as browser:
        browser.go(page.url)
        browser.wait("document.readyState === 'complete'")
        got = browser.value(FILTERS.replace("CASES", json.dumps(words)))
        for text, one in zip(words, got):
            check_equal(one, observed(text), f"filter {text!r}")


@v4_only
def test_a_thousand_flows_are_shown_without_delay(t):
    t.listen(7, lambda connection: connection.recv(1))
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
flows = [connect(args[0], 7) for _ in range(1000)]
print("up", flush=True); sys.stdin.readline()
"""
    child = start(t, code, t.srv)
    with Page(t) as page, Browser(t) as browser:
        browser.go(page.url)
        browser.wait(f"{ROWS}.some(row => row.includes('1000 flows'))", 60)
        browser.click("#view .open")
        browser.wait("document.querySelectorAll('tr.flow').length > 100")
        # The longest that a frame took to come, over two seconds of updates.
        worst = browser.value("""new Promise(resolve => {
  let last = performance.now(), worst = 0;
  const until = last + 2500;
  const step = now => {
    worst = Math.max(worst, now - last); last = now;
    if (now < until) requestAnimationFrame(step); else resolve(worst);
  };
  requestAnimationFrame(step);
})""")
        check(worst < 1000, f"a frame came after {worst} ms")
        picture(browser, "thousand")
    end(child)
