"""Who types a command, as journal and audit trail name it."""

from __future__ import annotations

import os
import pwd

from ils_payment.model import Actor


def typing() -> Actor:
    """Return the operating system's user; behind sudo, the one who called it."""
    name = os.environ.get("SUDO_USER")
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = f"user {os.getuid()}"
    return Actor(f"cli:{name}"[:80], "technician")
