"""Make `.venv` as `uv.lock` describes it, with nothing but Python 3.11 on the machine.

Three differences between machines are handled here: Debian packages `ensurepip` apart, a system Python
refuses installs outside a virtual environment (PEP 668), and some networks reach PyPI only through a mirror
that is configured for pip.
"""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
UV = ENVIRONMENT / "bin" / "uv"
OLDEST = (3, 11)


def main() -> None:
    """Make or refresh the environment, with the dependency groups that are named; two callers take turns."""
    if sys.version_info < OLDEST:
        found = sys.version.split()[0]
        sys.exit(f"ils-payment needs Python 3.11 or newer; this is {found}. Try: make PYTHON=python3.11")
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (answers(UV, "--version") and answers(PYTHON, "--version")):
            print("Installing into .venv what uv.lock names (a few minutes the first time) ...", flush=True)
            bootstrap()
        synchronise([f"--group={name}" for name in sys.argv[1:]])


def bootstrap() -> None:
    """Create an empty environment and put uv into it, in the version that `uv.lock` pins."""
    uv = f"uv=={pinned('uv')['version']}"
    if importlib.util.find_spec("ensurepip"):
        venv.create(ENVIRONMENT, with_pip=True, clear=True, symlinks=True)
        run(PYTHON, "-m", "pip", "install", "--quiet", uv)
        return
    venv.create(ENVIRONMENT, clear=True, symlinks=True)
    if importlib.util.find_spec("pip"):
        run(sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet", uv)
        return
    with tempfile.TemporaryDirectory() as folder:
        pip = download(pinned("pip"), Path(folder))
        run(PYTHON, pip / "pip", "install", "--quiet", uv)


def synchronise(groups: list[str]) -> None:
    """Install exactly what `uv.lock` names, by uv or, where only pip knows the way to PyPI, by pip."""
    settings = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)}
    settings.pop("VIRTUAL_ENV", None)
    uv = [str(UV), "sync", "--quiet", "--frozen", "--all-extras", "--python", str(PYTHON), *groups]
    if subprocess.run(uv, cwd=ROOT, env=settings, check=False).returncode == 0:
        return
    print("uv could not install; trying once more with pip and its own configuration.", file=sys.stderr)
    requirements = ENVIRONMENT / "requirements.txt"
    export = ["export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", *groups]
    run(UV, *export, "--output-file", requirements, env=settings)
    pip = [PYTHON, "-m", "pip", "install", "--quiet"]
    if not answers(PYTHON, "-m", "pip", "--version"):
        pip = [sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet"]
    run(*pip, "--require-hashes", "--requirement", requirements)
    run(*pip, "--no-deps", "--editable", ROOT)


def pinned(name: str) -> dict[str, Any]:
    """Read what `uv.lock` says about one package."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return next(package for package in lock["package"] if package["name"] == name)


def download(package: dict[str, Any], folder: Path) -> Path:
    """Fetch the pure wheel of a package, which Python runs as it is, and compare it with its locked hash."""
    wheel = next(entry for entry in package["wheels"] if entry["url"].endswith("-none-any.whl"))
    try:
        with urllib.request.urlopen(wheel["url"], timeout=60) as answer:
            content = answer.read()
    except OSError as cause:
        sys.exit(f"There is no pip here and PyPI cannot be reached ({cause}). Try: apt install python3-venv")
    if "sha256:" + hashlib.sha256(content).hexdigest() != wheel["hash"]:
        sys.exit(f"{wheel['url']} is not the file that uv.lock names; nothing was installed.")
    target = folder / wheel["url"].rsplit("/", 1)[1]
    target.write_bytes(content)
    return target


def answers(*command: object) -> bool:
    """Say whether a command is there and runs."""
    try:
        result = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    except OSError:
        return False
    return result.returncode == 0


def run(*command: object, env: dict[str, str] | None = None) -> None:
    """Run a command; its own message is the best one when it fails."""
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False)
    if result.returncode:
        sys.exit(f"Making .venv failed at: {' '.join(str(part) for part in command)}")


if __name__ == "__main__":
    main()
