"""The parts of machines that need none: the archive that guests unpack, the line to a guest."""

import shutil
import socket
import subprocess
import threading

import pytest

from machines import cpio, line


def test_archive_unpacks_to_what_was_put_in(tmp_path):
    if not shutil.which("busybox"):
        pytest.skip("busybox is not installed")
    archive = cpio.Archive()
    archive.file("a/b/one", b"x" * 1001)
    archive.file("a/two", b"", 0o644)
    archive.link("a/three", "b/one")
    subprocess.run(["busybox", "cpio", "-id"], cwd=tmp_path, input=archive.bytes(), check=True,
                   capture_output=True)
    assert (tmp_path / "a/b/one").read_bytes() == b"x" * 1001
    assert (tmp_path / "a/b/one").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a/two").read_bytes() == b""
    assert (tmp_path / "a/three").read_bytes() == b"x" * 1001


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield line.Line(ours, lambda: True), theirs


def answer(guest, *replies):
    """A guest that gives each command the next reply."""

    def serve():
        for reply in replies:
            guest.recv(1000)
            for piece in (reply[:7], reply[7:]):
                guest.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()


def test_result_is_what_the_guest_says(ends):
    ours, guest = ends
    answer(guest, b"kit done 1 3 4 5\nout\nwrong")
    assert ours.run("false", 20) == line.Result(3, "out\n", "wrong")


def test_answer_to_a_command_before_is_not_taken(ends):
    ours, guest = ends
    answer(guest, b"", b"kit done 1 0 3 0\noldkit done 2 0 3 0\nnew")
    with pytest.raises(line.Silence, match="still running in the guest: slow"):
        ours.run("slow", 0.5)
    assert ours.run("quick", 20).stdout == "new"


def test_guest_that_has_ended_is_not_waited_for():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(line.Silence, match="has ended"):
        line.Line(ours, lambda: False).wait_ready(60)


def test_command_of_two_lines_is_refused(ends):
    with pytest.raises(ValueError, match="one line"):
        ends[0].send("a\nb")
