"""For plugins whose library system knows patrons by their card numbers only, or opens with the PIN only.

The core keeps references of patrons for years, so such a plugin encrypts the number; and what was read with
a PIN at the sign-in is shown for minutes, since nobody keeps a PIN. Needs the package ``cryptography``.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from ils_payment.errors import RemoteAbsentError
from ils_payment.model import PatronRef

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ils_payment.model import Account, Card
    from ils_payment.ports import Host

_MOST = 2000


class PatronRefs:
    """Makes references from card numbers, and back.

    The encryption is deterministic (AES-SIV): the same card has the same reference, and without the key
    nobody can tell the card from it.
    """

    def __init__(self, key: SecretStr, plugin: str) -> None:
        """Derive the cipher's 512 bits from *key*, which is random and long enough for a plain hash.

        References of one *plugin* are none of another's.
        """
        self._cipher = AESSIV(hashlib.sha512(key.get_secret_value().encode()).digest())
        self._about = [f"ils-payment {plugin} patron".encode()]

    def ref(self, card: str) -> PatronRef:
        """Return the reference of a card number, as the library system writes it."""
        sealed = self._cipher.encrypt(card.encode(), self._about)
        return PatronRef(base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("="))

    def card(self, ref: PatronRef) -> str:
        """Return the card number; RemoteAbsentError for what is no reference under this key."""
        try:
            sealed = base64.urlsafe_b64decode(ref.encode() + b"=" * (-len(ref) % 4))
            return self._cipher.decrypt(sealed, self._about).decode()
        except (InvalidTag, ValueError):
            raise RemoteAbsentError(
                "The patron's reference was not made with this patron_key.",
                mend="Restore the old patron_key. An OPAC cannot hand patrons over to this library system.",
            ) from None


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
