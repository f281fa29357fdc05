"""An HTTP answer of Koha's, and which of its error bodies it has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


class Shape(StrEnum):
    """The bodies of Koha's errors (all five seen), and everything else."""

    ERROR = "error"
    CODE = "error and error_code"
    PERMISSIONS = "error and required_permissions"
    ERRORS = "errors and status"
    LIST = "bare list"
    OTHER = "not an error of Koha's"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status, its JSON (None when it is not JSON), its Date header, its X-Total-Count."""

    status: int
    body: Any
    is_json: bool = True
    date: str | None = None
    total: int | None = None

    @property
    def shape(self) -> Shape:
        """Which of Koha's error bodies this is."""
        body = self.body
        if isinstance(body, list) and body and all(isinstance(e, dict) and "message" in e for e in body):
            return Shape.LIST
        if not isinstance(body, dict):
            return Shape.OTHER
        if isinstance(body.get("errors"), list):
            return Shape.ERRORS
        if not isinstance(body.get("error"), str):
            return Shape.OTHER
        if "required_permissions" in body:
            return Shape.PERMISSIONS
        return Shape.CODE if "error_code" in body else Shape.ERROR

    @property
    def word(self) -> str:
        """Koha's own word for the error; empty where it has none. For comparisons, not for logs."""
        word = self.body.get("error") if isinstance(self.body, dict) else None
        return word if isinstance(word, str) else ""

    @property
    def permissions(self) -> str:
        """The rights that Koha says are missing, such as ``{"borrowers": "1"}``; else empty."""
        needed = self.body.get("required_permissions") if isinstance(self.body, dict) else None
        return json.dumps(needed, default=str) if needed else ""


def http_date(text: str | None) -> datetime | None:
    """Return the instant of a Date header, None when there is none that can be read."""
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
