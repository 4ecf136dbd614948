"""Makes packages of a build, as a packager would."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pack(build, folder, **how):
    """The packages of a build, by name."""
    subprocess.run(["cpack", "-B", str(folder)], cwd=build, check=True,
                   stdout=subprocess.DEVNULL, **how)
    return {path.name.split("_")[0]: path for path in pathlib.Path(folder).glob("*.deb")}
