"""Until when evidence for a reduced fee is good: a patron attribute that the library chose for it.

That Koha keeps attributes as texts, each with the code of its type and perhaps several of one type, is read
in the specification of 23.05.04; none of it was seen.
"""

from __future__ import annotations

import re
from datetime import date

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Unreadable
from ils_payment_koha import wire

_ISO = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_GERMAN = re.compile(r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4})")


def last_day(listed: object, attribute: str) -> date | Unreadable | None:
    """Return the latest day in the patron's attributes of the type *attribute*, None where there is none.

    One value of this type that is no day makes them all unreadable: it may be the newest. Values are personal
    and pass on to nobody. RemoteGarbledError when the answer is no list of attributes.
    """
    texts = [text for text in (_text(one, attribute) for one in wire.lines(listed)) if text]
    days = [_day(text) for text in texts]
    known = [day for day in days if day is not None]
    if len(known) < len(days):
        return Unreadable(reason="koha_evidence_is_no_day")
    return max(known, default=None)


def _text(entry: object, attribute: str) -> str:
    """Return the value of an attribute of the type *attribute*; empty for all others."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise RemoteGarbledError(
            "Koha lists a patron attribute without a type.",
            mend="Does this version of Koha fit? See docs/koha.md.",
        )
    # MariaDB takes codes for the same whatever their case.
    if entry["type"].casefold() != attribute.casefold():
        return ""
    value = entry.get("value")
    return value.strip() if isinstance(value, str) else ""


def _day(text: str) -> date | None:
    """Read a day as Koha or a German clerk writes it; None for everything else."""
    found = _ISO.fullmatch(text) or _GERMAN.fullmatch(text)
    if found is None:
        return None
    try:
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        return None
