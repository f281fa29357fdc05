"""What the server said at the sign-in, kept for minutes where it wants the PIN for each question."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ils_payment.model import Account, Card, PatronRef
    from ils_payment.ports import Host

_MOST = 2000


class SignIns:
    """The latest sign-ins' accounts and cards, in this process only; it may be lost at any time."""

    def __init__(self, host: Host, seconds: float) -> None:
        self._host = host
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: OrderedDict[PatronRef, tuple[float, Account, Card]] = OrderedDict()

    def keep(self, patron: PatronRef, account: Account, card: Card) -> None:
        """Keep what was read of *patron*; the oldest make room."""
        with self._lock:
            self._kept.pop(patron, None)
            self._kept[patron] = (self._host.monotonic() + self._seconds, account, card)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)

    def of(self, patron: PatronRef) -> tuple[Account, Card] | None:
        """Return what is kept of *patron* and still fresh enough, else None."""
        with self._lock:
            found = self._kept.get(patron)
            if found is not None and found[0] > self._host.monotonic():
                return found[1], found[2]
            self._kept.pop(patron, None)
        return None

    def forget(self, patron: PatronRef) -> None:
        """Forget *patron*, whose account changes."""
        with self._lock:
            self._kept.pop(patron, None)
