"""Builds of micro_bench: a commit's, kept by its id, and a working tree's."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

PRESET = "release"
TARGET = "micro_bench"


class Unusable(Exception):
    """A side cannot be measured: it does not build, or its program is not the one we know."""


def git(tree, *words):
    done = subprocess.run(["git", "-C", tree, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unusable(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def commit_of(tree, revision):
    """The commit that a revision names."""
    try:
        return git(tree, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except Unusable:
        raise Unusable(f"{tree} has no revision {revision}; `git log --oneline` lists them"
                       ) from None


class Builder:
    """Builds both sides with one preset, one compiler and the same options."""

    def __init__(self, tree, options=(), keep=False):
        self._tree = tree
        self._folder = os.path.join(tree, "build", "compare")
        self._options = [f"-D{name}" if not name.startswith("-") else name for name in options]
        self._keep = keep

    def commit(self, commit):
        """The program of a commit, built in a worktree of its own unless it was before."""
        kept = os.path.join(self._folder, f"{commit[:12]}-{self._flavour()}")
        program = os.path.join(kept, TARGET)
        with self._locked(kept):
            if os.path.exists(program):
                say(f"{commit[:12]}: built before")
                return program
            source = os.path.join(kept, "source")
            self._forget(source)
            git(self._tree, "worktree", "add", "--quiet", "--detach", source, commit)
            try:
                self._build(source, os.path.join(kept, "build"), commit[:12], program)
            finally:
                if not self._keep:
                    self._forget(source)
                    shutil.rmtree(os.path.join(kept, "build"), ignore_errors=True)
        return program

    def tree(self):
        """The program of the tree as it stands, whatever git says of it."""
        kept = os.path.join(self._folder, f"tree-{self._flavour()}")
        program = os.path.join(kept, TARGET)
        with self._locked(kept):
            self._build(self._tree, os.path.join(kept, "build"), "working tree", program)
        return program

    def _flavour(self):
        """What else the program depends on: another compiler must not pass for a change."""
        compiler = os.environ.get("CXX", "c++")
        said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
        words = "\n".join([PRESET, said.stdout, os.environ.get("CXXFLAGS", ""), *self._options])
        return hashlib.sha256(words.encode()).hexdigest()[:8]

    @contextlib.contextmanager
    def _locked(self, folder):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "lock"), "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _forget(self, source):
        if os.path.exists(source):
            git(self._tree, "worktree", "remove", "--force", source)
        git(self._tree, "worktree", "prune")

    def _build(self, source, build, label, program):
        started = time.monotonic()
        say(f"{label}: building {TARGET} (log: {build}.log)")
        with open(f"{build}.log", "w", encoding="utf-8") as log:
            self._step(["cmake", "--preset", PRESET, "-B", build, "-DSLUICE_TESTS=OFF",
                        *self._options], source, log, label)
            self._step(["cmake", "--build", build, "--target", TARGET], source, log, label)
        shutil.copy2(find(build, label), program)
        say(f"{label}: built in {time.monotonic() - started:.0f} s")

    @staticmethod
    def _step(command, source, log, label):
        done = subprocess.run(command, cwd=source, stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            log.flush()
            with open(log.name, encoding="utf-8", errors="replace") as file:
                end = "".join(file.readlines()[-15:])
            raise Unusable(f"{label} does not build; the end of {log.name}:\n{end.rstrip()}")


def find(build, label):
    for folder, _, files in os.walk(build):
        if TARGET in files and os.access(os.path.join(folder, TARGET), os.X_OK):
            return os.path.join(folder, TARGET)
    raise Unusable(f"{label} builds no {TARGET}")


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)
