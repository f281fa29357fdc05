"""What newer versions have on top of 23.05: patron categories (26.02) and self-renewal (in development).

All of this was read in the specification and in public copies of the code; none of it was seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator.render import Problem

if TYPE_CHECKING:
    from ils_payment_koha.simulator.render import Renderer
    from ils_payment_koha.simulator.state import Category, Patron

CATEGORY_FIELDS = (
    "category_type", "enrolment_fee", "enrolment_period", "enrolment_period_date", "name",
    "no_issues_charge", "patron_category_id",
)  # fmt: skip
SETTINGS: dict[str, Any] = {
    "opac_patron_details": "0",
    "self_renewal_failure_message": None,
    "self_renewal_information_messages": [],
}


def category(row: Category, renderer: Renderer) -> dict[str, Any]:
    """Return a patron category; it lasts for a number of months, or until a day for everybody."""
    return {
        "category_type": "A",
        "enrolment_fee": renderer.number(row.fee),
        "enrolment_period": None if row.until else row.months,
        "enrolment_period_date": row.until.isoformat() if row.until else None,
        "name": row.name or row.category_id,
        "no_issues_charge": None,
        "patron_category_id": row.category_id,
    }


def eligible(patron: Patron, user: Patron | None) -> Patron:
    """Return *patron* if he may renew his own card; raise the 403 otherwise.

    The public copies of the code do not compare who asks with who is renewed. That is taken for an
    oversight: the path is made for a patron's own session. Days and limits of the category are left out.
    """
    if user is not patron or patron.record["restricted"]:
        raise Problem(403, "error", "You are not eligible for self-renewal")
    return patron
