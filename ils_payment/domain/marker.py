"""The marker ``ILSP-7K3M9Q-4``: short, no personal data, with a check character.

It is written with the credit into the library system, stands on the receipt, and is what a
patron reads out on the telephone; so its alphabet (Crockford's base 32) has no I, L, O, U, and
the check character (Luhn's rule modulo 32) finds every single wrong character and nearly all
swapped neighbours.
"""

from __future__ import annotations

import re

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = len("ILSP-7K3M9Q-4")
_FORM = re.compile(rf"ILSP-([{ALPHABET}]{{6}})-([{ALPHABET}])")


def make(random_text: str) -> str:
    """Return the marker for six random characters of :data:`ALPHABET`."""
    return f"ILSP-{random_text}-{_check(random_text)}"


def is_marker(text: str) -> bool:
    """Tell whether *text* is a marker with a right check character."""
    found = _FORM.fullmatch(text)
    return found is not None and _check(found[1]) == found[2]


def join(key: str, number: str | None) -> str:
    """Return a refund's *key* with the *number* of its counter-debit behind it, where it has one.

    The provider keeps the key with the refund; so a ledger that has forgotten both learns the number, too.
    """
    return f"{key}-{number}" if number else key


def in_key(key: str) -> str | None:
    """Return the marker of the counter-debit behind the key of a refund of ours, None where there is none."""
    number = key[-_LENGTH:]
    return number if len(key) > _LENGTH and is_marker(number) else None


def tidy(typed: str) -> str:
    """Return what somebody typed as a marker should be written: upper case, look-alikes corrected."""
    text = typed.strip().upper().removeprefix("ILSP").replace("-", "").replace(" ", "")
    text = text.translate(str.maketrans("ILOU", "110V"))
    return f"ILSP-{text[:-1]}-{text[-1:]}"


def _check(text: str) -> str:
    total = 0
    for place, character in enumerate(reversed(text)):
        value = ALPHABET.index(character) * (1 if place % 2 else 2)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]
