"""Harmless questions to Koha, each of which tells whether a right is there.

Each right is tested at the patron 0, whom Koha never has: without the right it answers 403
before it looks at what was asked (seen; that it does so before it validates a body: read), with
it 404 or 400. The right to write credits and debits is tested by an amount of -1 for that patron, which is
refused on two counts before anything is stored (a negative amount: 400; a patron who does not
exist: 404; both seen); the right to change patrons by a change of that patron without the fields that
Koha demands (without them: 400; no such patron: 404; both seen); the right to validate passwords by a
validation without a password, which is a 400 and no try to sign in (seen). That Koha takes a real
change cannot be told without making one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ils_payment.errors import RemoteError
from ils_payment.model import Finding, Level
from ils_payment_koha.refusals import refuse

if TYPE_CHECKING:
    from ils_payment_koha.answers import Answer
    from ils_payment_koha.client import KohaClient

_GRANT = "In Koha: the service patron > More > Set permissions > "
_NOBODY = json.dumps({"cardnumber": "ils-payment-check"})


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that changes nothing; ``granted`` are the answers of a Koha that grants the right."""

    subject: str
    right: str
    method: str
    path: str
    granted: tuple[int, ...]
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None

    def ask(self, client: KohaClient) -> Answer:
        """Ask Koha; raise RemoteError when it gives no answer."""
        return client.ask(self.method, self.path, query=self.query, body=self.body)


FIND = Probe(
    "Koha: find patrons",
    "borrowers: edit_borrowers (newer: list_borrowers)",
    "GET",
    "/patrons",
    (200,),
    query={"q": _NOBODY, "_per_page": "1"},
)
NEEDED = (
    FIND,
    Probe("Koha: read patrons", "borrowers: edit_borrowers", "GET", "/patrons/0", (404,)),
    Probe(
        "Koha: read accounts",
        "borrowers: edit_borrowers, and updatecharges: remaining_permissions",
        "GET",
        "/patrons/0/account",
        (404,),
    ),
    Probe(
        "Koha: read credits",
        "borrowers: edit_borrowers, and updatecharges: remaining_permissions",
        "GET",
        "/patrons/0/account/credits",
        (200, 404),
    ),
    Probe(
        "Koha: write credits",
        "updatecharges: remaining_permissions",
        "POST",
        "/patrons/0/account/credits",
        (400, 404),
        body={"amount": -1},
    ),
    Probe(
        "Koha: write debits",
        "updatecharges: remaining_permissions",
        "POST",
        "/patrons/0/account/debits",
        (400, 404),
        body={"amount": -1, "type": "MANUAL"},
    ),
)
CATALOGUE = Probe(
    "Koha: read titles",
    "catalogue",
    "GET",
    "/items",
    (200,),
    query={"q": json.dumps({"item_id": 0}), "_per_page": "1"},
)
SIGN_IN = Probe(
    "Koha: validate passwords",
    "borrowers, the whole of it",
    "POST",
    "/auth/password/validation",
    (400,),
    body={"identifier": "ils-payment-check"},
)
CIRCULATION = Probe(
    "Koha: rights that are not needed",
    "circulate: circulate_remaining_permissions (or superlibrarian)",
    "GET",
    "/checkouts",
    (200,),
    query={"patron_id": "0"},
)
WRITE_PATRONS = Probe(
    "Koha: renew cards",
    "borrowers, the whole of it",
    "PUT",
    "/patrons/0",
    (400, 404),
    body={},
)
EVIDENCE = Probe(
    "Koha: read evidence",
    "borrowers: edit_borrowers",
    "GET",
    "/patrons/0/extended_attributes",
    # For a patron who is not there the specification has a 404 (read).
    (404,),
)
CATEGORIES = Probe(
    "Koha: read patron categories",
    "parameters: manage_patron_categories",
    "GET",
    "/patron_categories",
    (200,),
    query={"_per_page": "1"},
)


def error_finding(subject: str, error: RemoteError) -> Finding:
    """Return the finding that *error* is."""
    return Finding(Level.ERROR, subject, error.what, error.mend)


def needed(probe: Probe, client: KohaClient) -> Finding:
    """Ask one probe whose right must be there."""
    try:
        answer = probe.ask(client)
        if answer.status in probe.granted:
            return Finding(Level.OK, probe.subject, "The right is there.")
        if answer.status == 403:
            return Finding(
                Level.ERROR, probe.subject, "Koha refuses it: a right is missing.", _GRANT + probe.right
            )
        refuse(answer)
    except RemoteError as error:
        return error_finding(probe.subject, error)
