"""Running a client of the lab in a place."""

from . import processes


def run_client(bench, place, program, port, *words, timeout=120):
    """A client's standard output; LabError with what it said when it failed."""
    command = bench.client(program, place.server(bench.family), port, *words)
    return checked(place.run(command, timeout), program)


def checked(done, program):
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing")[-300:]
        raise processes.LabError(f"{program} ended with status {done.returncode}, saying: {said}")
    return done.stdout
