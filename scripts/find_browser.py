"""Print the path of a Chromium for the browser tests; install one if the machine has none.

Looked for in this order: the variable ILS_PAYMENT_CHROMIUM, the usual names on the PATH, what Playwright has
downloaded, apt (as root or by a sudo that asks nothing), Playwright's own download.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "ILS_PAYMENT_CHROMIUM"


def main() -> None:
    """Print one path, or say clearly what to do."""
    named = os.environ.get(VARIABLE)
    if named and not works(named):
        sys.exit(f"{VARIABLE} names {named}, which does not run. Correct it or unset it.")
    path = named or installed() or downloaded() or by_apt() or by_playwright()
    if not path:
        sys.exit(
            "The tests need a Chromium, and none could be found or installed. Install one "
            f"(apt install chromium), or set {VARIABLE} to the path of one."
        )
    print(path)


def installed() -> str | None:
    """Look on the PATH; a stub that cannot run (Ubuntu's, without snap) does not count."""
    return next((path for name in NAMES if (path := shutil.which(name)) and works(path)), None)


def by_apt() -> str | None:
    """Install Debian's Chromium where that needs no password."""
    if not shutil.which("apt-get"):
        return None
    rights = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if rights and not (shutil.which("sudo") and succeeds(*rights, "true")):
        return None
    note("Installing Chromium with apt for the browser tests.")
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    # A stale or partly unreachable index may still do, so only the installation itself decides.
    succeeds(*rights, *quiet, "update")
    succeeds(*rights, *quiet, "install", "--yes", "--no-install-recommends", "chromium")
    return installed()


def by_playwright() -> str | None:
    """Let Playwright download its own build."""
    note("Downloading Chromium with Playwright for the browser tests.")
    succeeds(sys.executable, "-m", "playwright", "install", "chromium")
    return downloaded()


def downloaded() -> str | None:
    """Ask Playwright where its own build lies."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if works(path) else None


def works(path: str) -> bool:
    """Say whether this is a browser that starts."""
    try:
        result = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def succeeds(*command: str) -> bool:
    """Run a command with its output on stderr, because stdout belongs to the path."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode == 0


def note(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
