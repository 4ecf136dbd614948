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

# Keys that are no letters: Windows' number of each, and the text that it makes.
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "ArrowUp": (38, ""),
        "ArrowDown": (40, ""), "ArrowRight": (39, ""), "ArrowLeft": (37, "")}

# Contrast is WCAG 2's: 4.5 to 1 for texts.
FAULTS = """(() => {
  const faults = [];
  const numbers = color => (color.match(/[0-9.]+/g) ?? []).map(Number);
  const light = color => {
    const [r, g, b] = color.map(value => (value /= 255) <= .04045
      ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const groundOf = element => {
    for (; element; element = element.parentElement) {
      const color = numbers(getComputedStyle(element).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() ||
        element.closest(".unseen, :disabled, option, noscript, script")) continue;
    const [one, other] = [numbers(getComputedStyle(element).color).slice(0, 3), groundOf(element)]
      .map(light).sort((a, b) => b - a);
    const contrast = (one + .05) / (other + .05);
    if (contrast < 4.5) faults.push(`${text}: contrast ${contrast.toFixed(2)}`);
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect();
    if (box.right > innerWidth + 1 || box.left < -1) {
      faults.push(`${text}: from ${box.left} to ${box.right} of ${innerWidth}`);
    }
    for (let around = element; around; around = around.parentElement) {
      const clips = ["hidden", "clip"].includes(getComputedStyle(around).overflowX);
      if (clips && around.scrollWidth > around.clientWidth + 1) faults.push(`${text}: is cut`);
    }
  }
  for (const control of document.querySelectorAll("button, select, input")) {
    const box = control.getBoundingClientRect();
    if (control.checkVisibility() && box.right > innerWidth + 1) {
      faults.push(`${control.innerText || control.id}: ends at ${box.right} of ${innerWidth}`);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) {
    faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  }
  return faults;
})()"""


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

    def key(self, key, shift=False):
        """A letter, or one of KEYS."""
        code, text = KEYS.get(key, (0, key))
        how = {"key": key, "modifiers": 8 if shift else 0}
        if code:
            how |= {"code": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", **how,
                   **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **how)

    def press(self, selector):
        """By the mouse, in the middle of what is chosen."""
        x, y = self.value(f"""(() => {{
  const one = document.querySelector({json.dumps(selector)});
  one.scrollIntoView({{block: "nearest"}});
  const box = one.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def faults(self):
        """Texts that are hard to read on their ground, and what the window cuts off."""
        return self.value(FAULTS)

    def look(self, width=1180, height=800, dark=False):
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)
        self._call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path):
        data = self._call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
