"""A page in Chromium, driven by its DevTools protocol over two pipes: no port of its own, so the
browser may be in whatever namespace it is to browse from."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

import pytest

from harness import ENVIRONMENT, NOBODY, Failure, check


class Browser:
    """One tab. `t` is the test's context; the browser runs where guests are started from."""

    def __init__(self, t, width=1180, height=800):
        if not shutil.which("chromium", path=ENVIRONMENT["PATH"]):
            pytest.skip("chromium is not installed")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def join():
            # Descriptors 3 and 4 are the browser's; what has one of these numbers is moved away.
            ends = [os.dup(os.dup(end)) for end in (to_browser, from_browser)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = ["ip", "netns", "exec", t.net.hst, *NOBODY, "chromium", "--headless",
                   "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--remote-debugging-pipe", f"--user-data-dir={t.folder}/browser",
                   f"--window-size={width},{height}", "about:blank"]
        # pylint: disable=subprocess-popen-preexec-fn
        self._child = subprocess.Popen(command, preexec_fn=join, pass_fds=(3, 4),
                                       env={**ENVIRONMENT, "HOME": t.folder}, cwd=t.folder,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self._rest = b""
        self._number = 0
        self._session = None
        self.messages = []  # Of the console, and of what broke the page's policy.
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target,
                                   flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def close(self):
        self._child.terminate()
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(20)
        os.close(self._out)
        os.close(self._in)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _message(self, until):
        while b"\0" not in self._rest:
            left = until - time.monotonic()
            check(left > 0 and select.select([self._in], [], [], left)[0],
                  "the browser does not answer")
            piece = os.read(self._in, 1 << 20)
            check(piece, "the browser has ended")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _call(self, method, timeout=180, **parameters):
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._out, json.dumps(request).encode() + b"\0")
        until = time.monotonic() + timeout
        while True:
            message = self._message(until)
            if message.get("id") == self._number:
                check("error" not in message, f"{method}: {message.get('error')}")
                return message["result"]
            self._note(message)

    def _note(self, message):
        parameters = message.get("params", {})
        if message.get("method") == "Log.entryAdded":
            self.messages.append(parameters["entry"]["text"])
        if message.get("method") == "Runtime.consoleAPICalled":
            self.messages.append(str([one.get("value") for one in parameters["args"]]))
        if message.get("method") == "Runtime.exceptionThrown":
            self.messages.append(str(parameters["exceptionDetails"]))

    def go(self, url):
        self._call("Page.navigate", url=url)

    def value(self, expression):
        """Of an expression of JavaScript, a promise's too."""
        result = self._call("Runtime.evaluate", expression=expression, awaitPromise=True,
                            returnByValue=True)
        check("exceptionDetails" not in result, f"{expression}: {result.get('exceptionDetails')}")
        return result["result"].get("value")

    def wait(self, expression, timeout=60):
        """Until it is true; returns its value."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if value := self.value(expression):
                return value
            time.sleep(0.1)
        text = self.value("document.body.innerText")
        raise Failure(f"{expression} never was true; the page says: {text[:600]!r}; "
                      f"{self.messages[-5:]}")

    def click(self, selector):
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null")
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def look(self, width=1180, height=800, dark=False):
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)
        self._call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path):
        data = self._call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
