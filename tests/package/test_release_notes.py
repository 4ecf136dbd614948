"""packaging/release_notes, over changelogs of a few lines."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHANGELOG = """# Changelog

Words that belong to no version.

## Unreleased (0.2.0)

### 2026-03-02

Added
- A thing that takes more words than a line of Debian's changelog may have, so that it must be broken
  somewhere ([docs](https://docs.example)). **Changed**: `--old` is gone.

### 2026-03-01

Fixed
- Another.

## 0.1.0 (2026-01-31)

- The first.
"""


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)

    def run(*words):
        return subprocess.run(
            [ROOT / "packaging/release_notes", "--changelog", tmp_path / "CHANGELOG.md", *words],
            capture_output=True, text=True, check=False)

    return run


def test_notes_are_the_section_of_a_version(notes):
    assert notes("0.1.0").stdout == "- The first.\n"
    text = notes("0.2.0").stdout
    assert text.startswith("### 2026-03-02\n\nAdded\n") and text.endswith("\n- Another.\n")


def test_notes_of_a_version_that_is_not_there_name_those_that_are(notes):
    done = notes("0.2")
    assert done.returncode == 1 and done.stdout == ""
    assert "no section of version 0.2; it has: Unreleased (0.2.0), 0.1.0 (2026-01-31)" in done.stderr


@pytest.mark.parametrize("version, epoch", [("0.1.0", "1769817600\n"), ("0.2.0", "1772409600\n")])
def test_epoch_is_the_day_of_the_version(notes, version, epoch):
    assert notes("--epoch", version).stdout == epoch


def test_debian_changelog_is_one_that_dpkg_reads(notes, tmp_path):
    text = notes("--debian", "--maintainer", "A B <a@b.example>", "--revision", "3", "0.2.0").stdout
    (tmp_path / "changelog").write_text(text)
    read = subprocess.run(["dpkg-parsechangelog", "-l", tmp_path / "changelog"], check=True,
                          capture_output=True, text=True)
    assert read.stderr == ""
    for field in ("Source: sluice", "Version: 0.2.0-3", "Maintainer: A B <a@b.example>",
                  "Date: Mon, 02 Mar 2026 00:00:00 +0000"):
        assert field in read.stdout.splitlines()
    assert max(map(len, text.splitlines())) <= 80
    assert "somewhere (docs). Changed: --old is gone." in re.sub(r"\s+", " ", text)


def test_this_version_has_notes():
    version = re.search(r"project\(sluice VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    subprocess.run([ROOT / "packaging/release_notes", version], check=True, capture_output=True)
