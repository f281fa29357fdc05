"""The reference by which the core knows a patron: the card number, encrypted.

SIP2 has no other id of a patron than the card number, and the core keeps references for years. So the number
is encrypted deterministically (AES-SIV): the same card has the same reference, and without the key nobody can
tell the card from it.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from ils_payment.errors import RemoteAbsentError
from ils_payment.model import PatronRef

if TYPE_CHECKING:
    from pydantic import SecretStr

_ABOUT = [b"ils-payment sip2 patron"]


class PatronRefs:
    """Makes references from card numbers, and back."""

    def __init__(self, key: SecretStr) -> None:
        """Derive the cipher's 512 bits from *key*, which is random and long enough for a plain hash."""
        self._cipher = AESSIV(hashlib.sha512(key.get_secret_value().encode()).digest())

    def ref(self, card: str) -> PatronRef:
        """Return the reference of a card number, as the server writes it."""
        sealed = self._cipher.encrypt(card.encode(), _ABOUT)
        return PatronRef(base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("="))

    def card(self, ref: PatronRef) -> str:
        """Return the card number; RemoteAbsentError for what is no reference under this key."""
        try:
            sealed = base64.urlsafe_b64decode(ref.encode() + b"=" * (-len(ref) % 4))
            return self._cipher.decrypt(sealed, _ABOUT).decode()
        except (InvalidTag, ValueError):
            raise RemoteAbsentError(
                "The patron's reference was not made with this patron_key.",
                mend="Restore the old patron_key. An OPAC cannot hand patrons over to a library with SIP2.",
            ) from None
