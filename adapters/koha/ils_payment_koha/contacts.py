"""Where Koha reaches a patron; the names of the fields were seen in answers of Koha 23.05.04."""

from __future__ import annotations

from typing import Any

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import ContactData


def contact(body: object) -> ContactData:
    """Read ``GET /patrons/{id}``; raise RemoteGarbledError. What Koha keeps as null or blank is left out.

    The order of street and house number, and where the postal code stands, are those of German letters,
    which is how libraries in Germany fill Koha's fields (inferred).
    """
    if not isinstance(body, dict):
        raise RemoteGarbledError(
            "Koha's answer is no patron.", mend="Does this version of Koha fit? See docs/koha.md."
        )
    lines = (
        _joined(body, "address", "street_number"),
        _joined(body, "address2"),
        _joined(body, "postal_code", "city"),
        _joined(body, "state"),
        _joined(body, "country"),
    )
    return ContactData(
        name=_joined(body, "firstname", "surname"),
        address=tuple(line for line in lines if line),
        email=_joined(body, "email") or None,
        phone=_joined(body, "phone") or _joined(body, "mobile") or None,
    )


def _joined(body: dict[str, Any], *fields: str) -> str:
    texts = (body.get(field) for field in fields)
    return " ".join(text.strip() for text in texts if isinstance(text, str) and text.strip())
