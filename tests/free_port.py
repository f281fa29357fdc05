"""A port for a server of a test that can only be told a number, before it is started."""

from __future__ import annotations

import random
import socket

BELOW_THE_LENT_ONES = range(20_000, 32_000)
"""Linux lends ports from 32768 on to whoever asks for any: to connections, and to other tests' servers."""


def free_port() -> int:
    """Return a port that nobody listens at, and that the system lends to nobody until it is used."""
    for port in random.SystemRandom().sample(BELOW_THE_LENT_ONES, 100):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("a hundred ports are taken; is something else running here?")
