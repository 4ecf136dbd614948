"""Asking people by the page of `sluice web`: a curl that waits, and a person in a real browser who
answers, with a mouse and with keys alone."""

import os
import re
import time

from browser import Browser
from harness import Failure, check, check_equal, v4_only
from policy_world import World
from test_ask import CURLS, Asked
from test_web import Page, picture
from zone_resolver import address, record

# A browser may be slow to come up: nobody gives up meanwhile.
PATIENCE = ["--ask-timeout", "5m"]
PATIENT = CURLS.replace('"-m", "30"', '"-m", "240"')
CARDS = "[...document.querySelectorAll('#pending .card')].map(card => card.innerText)"


def wait_attached(run, browser):
    """While the page hears of events, the run has somebody to ask."""
    browser.wait("document.querySelector('#runs option') !== null", 180)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if run.asked()["attached"] == 1:
            return
        time.sleep(0.2)
    raise Failure("nobody is there to be asked")


class Desk:
    """A guest that asks, its world, and the page open in a browser."""

    def __init__(self, t, *options):
        self.world = World(t)
        self.trust = self.world.environment()["SSL_CERT_FILE"]
        self.run = Asked(t, PATIENT, options=["--ask", *(options or PATIENCE)])
        self.page = Page(t, env=self.run.env)
        self.browser = Browser(t)
        self.browser.go(self.page.url)
        wait_attached(self.run, self.browser)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.browser.close()
        self.page.__exit__()
        if kind is None:
            self.run.finish_stdin()
            self.run.finish()

    def curl(self, url):
        self.run.say(f"--cacert {self.trust} {url}")

    def card(self, *words, seconds=60):
        """The text of the only card, once it says all of these."""
        every = " && ".join(f"card.includes({word!r})" for word in words)
        text = self.browser.wait(f"{CARDS}.find(card => {every})", seconds)
        check_equal(len(self.browser.value(CARDS)), 1, "cards")
        return text

    def choose(self, label, value):
        self.browser.value(f"""(() => {{
  const choice = document.querySelector('#pending select[aria-label="{label}"]');
  choice.value = '{value}';
  choice.dispatchEvent(new Event('change', {{bubbles: true}}));
  return choice.value;
}})()""")

    def answer(self, verb):
        self.browser.click(f"#pending [data-answer='{verb}']")

    def no_card(self):
        self.browser.wait("document.querySelector('#pending').hidden")


@v4_only
def test_a_curl_that_waits_succeeds_when_the_page_approves(t):
    """Once; then for the run, with all names of the registrable domain."""
    with Desk(t) as desk:
        desk.curl("https://ok.test/")
        text = desk.card("ok.test", "port 443", "(tcp)", "waiting", "left")
        # Curl knocks at both families' addresses.
        check(re.search(r"May it reach ok\.test.*asked (once|2 times).*rule default", text, re.S), text)
        check_equal(desk.browser.value("document.title").startswith("(1)"), True,
                    "the title of the tab tells")
        picture(desk.browser, "pending")
        check_equal([name for name in desk.world.resolver.names() if "ok.test" in name], [],
                    "what left before it was approved")
        desk.choose("How long", "once")
        desk.answer("approve")
        check_equal(desk.run.line(120), "0 hello from shared as ok.test", "what curl printed")
        desk.no_card()

        desk.curl("https://ok.test/")
        desk.card("ok.test")  # Once was once.
        desk.answer("refuse")
        check(not desk.run.line(120).startswith("0"), "a curl that was refused")
        desk.no_card()

        desk.curl("https://a.wild.test/")
        desk.card("a.wild.test")
        check_equal(desk.browser.value("document.querySelector('#pending b').innerText"),
                    "wild.test", "what stands out")
        desk.choose("What it is about", "domain")
        desk.choose("How long", "run")
        desk.answer("approve")
        check_equal(desk.run.line(120), "0 hello from shared as a.wild.test", "a name of the domain")
        desk.curl("https://b.wild.test/")
        check_equal(desk.run.line(120), "0 hello from shared as b.wild.test", "another, not asked")
        desk.browser.click("#tab-policy")
        desk.browser.wait("document.querySelector('#view').innerText.includes('.wild.test:443/tcp')")
        check_equal(desk.browser.messages, [], "what the browser complained about")


@v4_only
def test_a_curl_that_waits_fails_when_the_page_refuses(t):
    with Desk(t) as desk:
        desk.curl("https://alone.evil.test/")
        desk.card("alone.evil.test")
        desk.answer("refuse")
        status, _, said = desk.run.line(120).partition(" ")
        check_equal(status, "7", f"curl's status; it said {said}")  # Failed to connect.
        check("connect to alone.evil.test port 443" in said, f"what curl says: {said}")
        desk.no_card()
        desk.browser.click("#tab-refused")
        desk.browser.wait("document.querySelector('#view').innerText.includes('ask-refused')")
        check_equal(desk.world.first_bytes, [], "what reached a server")
        check_equal(desk.run.asked()["refused"], 1, "what was refused")
        # For the run, as nothing else was chosen: nobody is asked again.
        desk.curl("https://alone.evil.test/")
        check(not desk.run.line(120).startswith("0"), "the next one")
        check_equal(desk.browser.value(CARDS), [], "cards")
        check_equal(desk.browser.messages, [], "what the browser complained about")


@v4_only
def test_a_question_that_nobody_answers_stays_for_the_next_try(t):
    with Desk(t, "--ask-timeout", "3s") as desk:
        desk.curl("https://ok.test/")
        desk.card("ok.test", "waiting")
        check(not desk.run.line(120).startswith("0"), "a curl that nobody answered")
        desk.card("ok.test", "nobody answered in time")
        picture(desk.browser, "unanswered")
        check_equal(desk.run.asked()["timeout"], 1, "questions that timed out")
        desk.answer("approve")
        desk.no_card()
        desk.curl("https://ok.test/")
        check_equal(desk.run.line(120), "0 hello from shared as ok.test", "the next try")
        check_equal(desk.browser.messages, [], "what the browser complained about")


@v4_only
def test_a_question_is_answered_by_keys_alone_and_for_ever(t):
    with Desk(t) as desk:
        desk.curl("https://ok.test/")
        desk.card("ok.test")
        focus = "document.activeElement?.dataset.answer ?? document.activeElement?.ariaLabel"
        desk.browser.key("p")
        check_equal(desk.browser.value(focus), "approve", "where 'p' leads")
        desk.browser.key("Tab", shift=True)
        check_equal(desk.browser.value(focus), "How long", "one back")
        desk.browser.key("ArrowDown")
        check_equal(desk.browser.value("document.activeElement.value"), "always", "the one below")
        desk.browser.key("Tab")
        # It is looked at anew each second meanwhile; the focus stays.
        desk.browser.wait("new Promise(resolve => setTimeout(() => resolve(true), 2500))")
        check_equal(desk.browser.value(focus), "approve", "where the focus is")
        picture(desk.browser, "pending-focus")
        desk.browser.key("Enter")
        check_equal(desk.run.line(120), "0 hello from shared as ok.test", "what curl printed")
        desk.no_card()
        with open(os.path.join(desk.run.settings, "sluice", "decisions.toml"),
                  encoding="utf-8") as file:
            kept = file.read()
        check('"allow ok.test:443/tcp"' in kept and 'by = "web"' in kept, kept)
        check_equal(desk.browser.messages, [], "what the browser complained about")


# Three at a time, each in its line when it has ended.
CROWD = """
import subprocess, threading
print("up", flush=True); sys.stdin.readline()
def one(url):
    done = subprocess.run(["curl", "-sS", "-m", "240", "--cacert", args[0], url],
                          capture_output=True, text=True)
    print(url, done.returncode, flush=True)
crowd = [threading.Thread(target=one, args=(url,)) for url in args[1:]]
for each in crowd: each.start()
for each in crowd: each.join()
sys.stdin.readline()
"""
# Presses "Approve" the moment that a card comes.
HASTY = """window.hasty = 0; new MutationObserver(() => {
  for (const button of document.querySelectorAll("#pending [data-answer=approve]")) {
    window.hasty += 1;
    button.dispatchEvent(new MouseEvent("click", {detail: 1, bubbles: true}));
  }
}).observe(document.getElementById("pending"), {childList: true}); true"""


@v4_only
def test_a_card_that_comes_under_the_mouse_is_not_pressed(t):
    """Several questions; each is answered by the mouse, but none by a press for something else."""
    names = ["a.ok.test", "b.other.test", "c.wild.test"]
    world = World(t, zone={name: {1: [record(name, *address("198.51.100.10"))]}
                           for name in names[:2]})
    run = Asked(t, CROWD, world.environment()["SSL_CERT_FILE"],
                *(f"https://{name}/" for name in names), options=["--ask", *PATIENCE])
    with Page(t, env=run.env) as page, Browser(t) as browser:
        browser.go(page.url)
        wait_attached(run, browser)
        browser.value(HASTY)
        run.say()
        browser.wait(f"{CARDS}.length === 3")
        check(browser.value("window.hasty") >= 3, "presses at once")
        check_equal(len(run.pending()), 3, "what still waits")
        picture(browser, "cards")
        browser.wait("!document.querySelector('#pending').classList.contains('settling')")
        for left in (2, 1, 0):
            browser.press("#pending [data-answer=refuse]")
            browser.wait(f"{CARDS}.length === {left}")
            browser.wait("!document.querySelector('#pending').classList.contains('settling')")
        said = sorted(run.line(120).rpartition(" ")[0] for _ in names)
        check_equal(said, [f"https://{name}/" for name in names], "curls that ended")
        check_equal((run.asked()["refused"], run.asked()["approved"]), (3, 0), "answers")
        check_equal(world.first_bytes, [], "what reached a server")
        check_equal(browser.messages, [], "what the browser complained about")
    run.finish()
