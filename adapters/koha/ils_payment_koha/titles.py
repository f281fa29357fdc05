"""Titles of items from MARC records, as Koha gives them in MARC-in-JSON; pure."""

from __future__ import annotations

import copy
import re
from typing import Any

from pymarc import JSONHandler, Record

_NON_SORTING = re.compile("[\u0080-\u009f]")
"""Control characters that German records set around an article that is not sorted by."""

_PUNCTUATION = " /:;,=."


def title(record: dict[str, Any]) -> str | None:
    """Return ``Title : rest of title / author`` of a MARC 21 record; None when it names none.

    A record that is no MARC-in-JSON gives None as well: a title is an aid, never a condition.
    """
    try:
        # pymarc takes the fields out of what it reads.
        handler = JSONHandler()  # type: ignore[no-untyped-call]  # pymarc types a part of itself
        parsed: Record = handler.elements([copy.deepcopy(record)])[0]  # type: ignore[no-untyped-call]  # as above
    except Exception:  # noqa: BLE001 - pymarc raises whatever a strange record provokes
        return None
    main = " : ".join(filter(None, (_part(parsed, "245", code) for code in "ab")))
    author = _part(parsed, "100", "a")
    if not main:
        return None
    return f"{main} / {author}" if author else main


def _part(record: Record, tag: str, code: str) -> str:
    """Return the first subfield *code* of field *tag* without the punctuation that ends it."""
    for found in record.get_fields(tag):
        text = found.get(code) if not found.control_field else None
        if text:
            return " ".join(_NON_SORTING.sub("", text).split()).rstrip(_PUNCTUATION)
    return ""
