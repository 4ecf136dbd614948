"""`sluice policy` and `sluice profile`, and how a policy is told when a command starts."""

import json
import subprocess

from harness import ENVIRONMENT, check, check_equal

POLICY = """version = 1
use = ["python"]
[[rule]]
deny = "files.pythonhosted.org"
note = "Not today."
"""


def sluice(t, *words):
    return subprocess.run([t.path, *words], capture_output=True, text=True, timeout=60, check=False,
                          env={**ENVIRONMENT, "HOME": t.folder})


def test_a_policy_is_checked_explained_asked_and_compared(t):
    path = t.file("ci.toml", POLICY)
    done = sluice(t, "policy", "check", path)
    check_equal((done.returncode, done.stdout), (0, "default deny, 3 rules (ci.toml, python)\n"), "check")
    done = sluice(t, "policy", "explain", path)
    check("allow  pypi.org:443" in done.stdout and "ci.toml:3" in done.stdout, done.stdout)
    done = sluice(t, "policy", "test", path, "tcp", "pypi.org:443")
    check_equal(done.returncode, 0, f"pypi.org is allowed: {done.stdout}")
    done = sluice(t, "policy", "--json", "test", path, "tcp", "pypi.org:80")
    check_equal((done.returncode, json.loads(done.stdout)["reason"]), (1, "port-unlisted"), "a port")
    done = sluice(t, "policy", "diff", path, t.file("empty.toml", "version = 1\n"))
    check_equal(done.returncode, 1, "they differ")
    check("- deny files.pythonhosted.org (ci.toml:3)" in done.stdout, done.stdout)


def test_a_mistake_names_the_file_and_the_line(t):
    path = t.file("wrong.toml", "[[rule]]\nalow = 'pypi.org'\n")
    for words in (("policy", "check", path), ("run", "--policy", path, "--", "true")):
        done = sluice(t, *words)
        check_equal(done.returncode, 2, f"{words}: {done.stderr}")
        check(f"{path}:2: unknown key 'rule.alow'; did you mean 'rule.allow'?" in done.stderr, done.stderr)


def test_profiles_are_listed_and_shown(t):
    done = sluice(t, "profile", "list")
    check(done.stdout.startswith("containers") and "python" in done.stdout, done.stdout + done.stderr)
    done = sluice(t, "profile", "show", "python")
    check("pypi.org" in done.stdout and "risk = " in done.stdout, done.stdout + done.stderr)
    done = sluice(t, "profile", "show", "pyhton")
    check(done.returncode == 2 and "did you mean 'python'" in done.stderr, done.stderr)


def test_a_command_starts_with_a_line_on_its_policy(t):
    done = t.guest(["true"], ["--allow", "example.com"])
    check_equal((done.returncode, done.stderr), (0, "sluice: policy: default deny, 1 rule\n"), "the line")
    done = t.guest(["true"], ["--deny", "10.0.0.0/8"])
    check_equal((done.returncode, done.stderr), (0, ""), "no line where addresses alone are denied")
