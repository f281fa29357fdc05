"""What ``ils-payment check`` asks Koha: harmless questions, and what their answers mean.

Each right is tested at the patron 0, whom Koha never has: without the right it answers 403
before it looks at what was asked (seen; that it does so before it validates a body: read), with
it 404 or 400. The right to write credits and debits is tested by an amount of -1 for that patron, which is
refused on two counts before anything is stored (a negative amount: 400; a patron who does not
exist: 404; both seen); the whole right ``borrowers`` by a password validation without a
password, which is a 400 and no try to sign in (seen).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ils_payment.errors import RemoteError
from ils_payment.model import Finding, Level
from ils_payment_koha import wire
from ils_payment_koha.refusals import refuse

if TYPE_CHECKING:
    from ils_payment.ports import Host
    from ils_payment_koha.client import KohaClient
    from ils_payment_koha.config import KohaConfig
    from ils_payment_koha.wire import Answer

_GRANT = "In Koha: the service patron > More > Set permissions > "
_NOBODY = json.dumps({"cardnumber": "ils-payment-check"})

_PATHS = (
    ("get", "/patrons"),
    ("get", "/patrons/{patron_id}"),
    ("get", "/patrons/{patron_id}/account"),
    ("get", "/patrons/{patron_id}/account/credits"),
    ("post", "/patrons/{patron_id}/account/credits"),
    ("get", "/patrons/{patron_id}/account/debits"),
    ("post", "/patrons/{patron_id}/account/debits"),
)
_SIGN_IN_PATH = ("post", "/auth/password/validation")


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


_FIND = Probe(
    "Koha: find patrons",
    "borrowers: edit_borrowers (newer: list_borrowers)",
    "GET",
    "/patrons",
    (200,),
    query={"q": _NOBODY, "_per_page": "1"},
)
_NEEDED = (
    _FIND,
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
_CATALOGUE = Probe(
    "Koha: read titles",
    "catalogue",
    "GET",
    "/items",
    (200,),
    query={"q": json.dumps({"item_id": 0}), "_per_page": "1"},
)
_SIGN_IN = Probe(
    "Koha: validate passwords",
    "borrowers, the whole of it",
    "POST",
    "/auth/password/validation",
    (400,),
    body={"identifier": "ils-payment-check"},
)
_CIRCULATION = Probe(
    "Koha: rights that are not needed",
    "circulate: circulate_remaining_permissions (or superlibrarian)",
    "GET",
    "/checkouts",
    (200,),
    query={"patron_id": "0"},
)


def run(client: KohaClient, config: KohaConfig, host: Host) -> list[Finding]:
    """Return the findings; those that make further questions pointless end the list."""
    try:
        spec = client.probe()
    except RemoteError as error:
        return [_error("Koha: address", error)]
    findings = [_address(spec, config), *_clock(spec, config, host)]
    if findings[0].level is Level.ERROR:
        return findings
    try:
        client.authorization()
        answer = _FIND.ask(client)
        if answer.status == 401 or answer.word in {"Invalid password", "Password has expired"}:
            refuse(answer)
    except RemoteError as error:
        return [*findings, _error("Koha: credentials", error)]
    findings.append(Finding(Level.OK, "Koha: credentials", "Koha accepts them."))
    findings += [_needed(probe, client) for probe in _NEEDED]
    findings += _optional(client, config)
    findings += _names(client, config)
    return findings


def _error(subject: str, error: RemoteError) -> Finding:
    return Finding(Level.ERROR, subject, error.what, error.mend)


def _address(spec: Answer, config: KohaConfig) -> Finding:
    """Look whether Koha's REST API answers, and whether it has every path that is needed."""
    subject = "Koha: address"
    paths = spec.body.get("paths") if spec.status == 200 and isinstance(spec.body, dict) else None
    if not isinstance(paths, dict):
        return Finding(
            Level.ERROR,
            subject,
            f"The configured address answers ({spec.status}), but not as a Koha REST API does.",
            "Correct url: a browser shows JSON with Koha's paths there, with a slash behind the address.",
        )
    needed = (*_PATHS, _SIGN_IN_PATH) if config.sign_in else _PATHS
    missing = [f"{verb.upper()} {path}" for verb, path in needed if verb not in (paths.get(path) or {})]
    if missing:
        return Finding(
            Level.ERROR,
            subject,
            f"This Koha is too old: it has no {', '.join(missing)}.",
            "Update Koha to 23.05 or newer.",
        )
    return Finding(
        Level.OK,
        subject,
        "Koha's REST API answers and has every path that is needed; it tells no version.",
    )


def _clock(spec: Answer, config: KohaConfig, host: Host) -> list[Finding]:
    """Compare Koha's clock with ours: recent credits are told apart by time."""
    theirs = wire.http_date(spec.date)
    if theirs is None:
        return []
    apart = abs((theirs - host.now()).total_seconds())
    # The header tells whole seconds, so less than one more is no difference.
    if apart <= config.clock_tolerance_seconds + 1:
        return []
    return [
        Finding(
            Level.WARNING,
            "Koha: clock",
            f"Koha's clock and ours are {apart:.0f} seconds apart, more than clock_tolerance_seconds.",
            "Let both machines take their time from a time server (NTP).",
        )
    ]


def _needed(probe: Probe, client: KohaClient) -> Finding:
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
        return _error(probe.subject, error)


def _optional(client: KohaClient, config: KohaConfig) -> list[Finding]:
    """Test the rights that only some configurations need, and warn of those that none needs."""
    findings = []
    if config.titles:
        found = _needed(_CATALOGUE, client)
        # Without titles a page shows Koha's own text of the fee, so this stops nothing.
        level = Level.OK if found.level is Level.OK else Level.WARNING
        mend = f"{found.mend}; or set titles = false." if found.mend else ""
        findings.append(Finding(level, found.subject, found.seen, mend))
    if config.sign_in:
        found = _needed(_SIGN_IN, client)
        mend = (
            f"{found.mend}; or set sign_in = false where the OPAC hands patrons over." if found.mend else ""
        )
        findings.append(Finding(found.level, found.subject, found.seen, mend))
    else:
        findings += _surplus(_SIGN_IN, client)
    return findings + _surplus(_CIRCULATION, client)


def _surplus(probe: Probe, client: KohaClient) -> list[Finding]:
    """Warn when a right that is not needed is there."""
    subject = _CIRCULATION.subject
    try:
        answer = probe.ask(client)
    except RemoteError as error:
        return [_error(subject, error)]
    if answer.status not in probe.granted:
        return []
    return [
        Finding(
            Level.WARNING,
            subject,
            f"The service patron has a right that is not needed: {probe.right}.",
            "Take it away in Koha (the service patron > More > Set permissions): who gets hold of our "
            "credentials can do what the service patron may.",
        )
    ]


def _names(client: KohaClient, config: KohaConfig) -> list[Finding]:
    """Look whether the configured library and payment types exist in Koha (needs ``catalogue``)."""
    findings = []
    if config.library_id is not None:
        findings.append(_library(client, config.library_id))
    subject = "Koha: payment types"
    wanted = {config.payment_type, *config.payment_types.values()}
    try:
        answer = client.ask(
            "GET", "/authorised_value_categories/PAYMENT_TYPE/authorised_values", query={"_per_page": "-1"}
        )
    except RemoteError as error:
        return [*findings, _error(subject, error)]
    if answer.status != 200 or not isinstance(answer.body, list):
        seen = f"Koha does not tell its payment types ({answer.status}); not looked up: {_list(wanted)}."
        mend = "Look under Administration > Authorized values > PAYMENT_TYPE whether they are there."
        return [*findings, Finding(Level.WARNING, subject, seen, mend)]
    known = {entry.get("value") for entry in answer.body if isinstance(entry, dict)}
    unknown = {name for name in wanted if name not in known}
    if unknown:
        seen = f"Koha has no payment type {_list(unknown)}: it books, but its reports show a bare code."
        mend = "In Koha: Administration > Authorized values > PAYMENT_TYPE > New authorized value."
        return [*findings, Finding(Level.WARNING, subject, seen, mend)]
    return [*findings, Finding(Level.OK, subject, f"Koha knows {_list(wanted)}.")]


def _library(client: KohaClient, library_id: str) -> Finding:
    """Look whether the library (branch) exists: a credit for an unknown one is a 500 (seen)."""
    subject = "Koha: library"
    try:
        answer = client.ask("GET", f"/libraries/{quote(library_id, safe='')}")
    except RemoteError as error:
        return _error(subject, error)
    if answer.status == 200:
        return Finding(Level.OK, subject, f"Koha has the library {library_id}.")
    if answer.status == 404:
        return Finding(
            Level.ERROR,
            subject,
            f"Koha has no library {library_id}; it could not book any payment.",
            "Correct library_id: the codes stand in Koha under Administration > Libraries.",
        )
    return Finding(
        Level.WARNING,
        subject,
        f"Koha does not tell us whether it has the library {library_id} ({answer.status}).",
        "Look under Administration > Libraries whether this code is there.",
    )


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
