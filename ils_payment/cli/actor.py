"""Who types a command, as journal and audit trail name it."""

from __future__ import annotations

import os
import pwd

from ils_payment.model import Actor

PEOPLE_FROM = 1000
"""The first user number of people; below it are root and the users of services."""


def typing() -> Actor:
    """Return the operating system's user; behind sudo, the one who called it.

    Behind sudo (deploy/ils-payment) a command runs as root or as the service's user. Whoever runs it under
    an own name could set the variable as well, and would be the second person of a refund.
    """
    user = os.getuid()
    name = os.environ.get("SUDO_USER") if user < PEOPLE_FROM else None
    if not name:
        try:
            name = pwd.getpwuid(user).pw_name
        except KeyError:
            name = f"user {user}"
    return Actor(f"cli:{name}"[:80], "technician")
