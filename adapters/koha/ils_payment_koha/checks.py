"""What ``ils-payment check`` asks Koha, and what it says of the answers.

The questions are harmless (:mod:`ils_payment_koha.probes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ils_payment.errors import RemoteError
from ils_payment.model import Finding, Level
from ils_payment_koha import answers
from ils_payment_koha.probes import (
    CATALOGUE,
    CATEGORIES,
    CIRCULATION,
    EVIDENCE,
    FIND,
    NEEDED,
    SIGN_IN,
    WRITE_PATRONS,
    error_finding,
    needed,
)
from ils_payment_koha.refusals import refuse

if TYPE_CHECKING:
    from ils_payment.ports import Host
    from ils_payment_koha.answers import Answer
    from ils_payment_koha.client import KohaClient
    from ils_payment_koha.config import KohaConfig
    from ils_payment_koha.probes import Probe

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
_RENEW_PATH = ("put", "/patrons/{patron_id}")
_EVIDENCE_PATH = ("get", "/patrons/{patron_id}/extended_attributes")
_CATEGORIES_PATH = "/patron_categories"
_SELF_RENEWAL_PATH = "/public/patrons/{patron_id}/self_renewal"


def run(client: KohaClient, config: KohaConfig, host: Host) -> list[Finding]:
    """Return the findings; those that make further questions pointless end the list."""
    try:
        spec = client.probe()
    except RemoteError as error:
        return [error_finding("Koha: address", error)]
    findings = [_address(spec, config), *_clock(spec, config, host)]
    if findings[0].level is Level.ERROR:
        return findings
    try:
        client.authorization()
        answer = FIND.ask(client)
        if answer.status == 401 or answer.word in {"Invalid password", "Password has expired"}:
            refuse(answer)
    except RemoteError as error:
        return [*findings, error_finding("Koha: credentials", error)]
    findings.append(Finding(Level.OK, "Koha: credentials", "Koha accepts them."))
    findings += [needed(probe, client) for probe in NEEDED]
    findings += _optional(client, config)
    findings += _renewing(client, config, spec.body["paths"])
    findings += _names(client, config)
    return findings


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
    wanted = [
        *_PATHS,
        *([_SIGN_IN_PATH] if config.sign_in else []),
        *([_RENEW_PATH] if config.renew else []),
        *([_EVIDENCE_PATH] if config.evidence_attribute else []),
    ]
    missing = [f"{verb.upper()} {path}" for verb, path in wanted if verb not in (paths.get(path) or {})]
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
    theirs = answers.http_date(spec.date)
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


def _optional(client: KohaClient, config: KohaConfig) -> list[Finding]:
    """Test the rights that only some configurations need, and warn of those that none needs."""
    findings = []
    if config.titles:
        found = needed(CATALOGUE, client)
        # Without titles a page shows Koha's own text of the fee, so this stops nothing.
        level = Level.OK if found.level is Level.OK else Level.WARNING
        mend = f"{found.mend}; or set titles = false." if found.mend else ""
        findings.append(Finding(level, found.subject, found.seen, mend))
    if config.sign_in:
        found = needed(SIGN_IN, client)
        mend = (
            f"{found.mend}; or set sign_in = false where the OPAC hands patrons over." if found.mend else ""
        )
        findings.append(Finding(found.level, found.subject, found.seen, mend))
    elif not config.renew:
        findings += _surplus(SIGN_IN, client)
    return findings + _surplus(CIRCULATION, client)


def _renewing(client: KohaClient, config: KohaConfig, paths: dict[str, object]) -> list[Finding]:
    """Test what renewing cards needs, as far as it can be told without changing a patron."""
    findings = []
    if config.category_fees:
        findings.append(_categories(client, paths))
    if config.evidence_attribute:
        findings.append(_evidence(client, config.evidence_attribute))
    if not config.renew:
        return findings
    found = needed(WRITE_PATRONS, client)
    if found.level is Level.OK:
        seen = (
            f"{found.seen} Whether Koha takes a new expiry shows at the first renewal; no patron was changed."
        )
        findings.append(Finding(Level.OK, found.subject, seen))
    else:
        mend = f"{found.mend}; or set renew = false." if found.mend else ""
        findings.append(Finding(found.level, found.subject, found.seen, mend))
    if _SELF_RENEWAL_PATH in paths:
        seen = (
            "This Koha has a self-renewal of its own. It is not used: it would charge its fee as a new debt, "
            "and is made for patrons who are signed in to Koha. The new expiry is written directly."
        )
        findings.append(Finding(Level.OK, "Koha: self-renewal", seen))
    return findings


def _evidence(client: KohaClient, attribute: str) -> Finding:
    """Look whether patron attributes can be read; that one of this code exists, no path of the API tells."""
    found = needed(EVIDENCE, client)
    if found.level is not Level.OK:
        return found
    seen = (
        f"{found.seen} Whether Koha has the patron attribute {attribute} cannot be asked: without it, every "
        "card that needs evidence until a day is sent to the desk."
    )
    return Finding(Level.OK, found.subject, seen)


def _categories(client: KohaClient, paths: dict[str, object]) -> Finding:
    """Look whether this Koha shows the fees of its patron categories to us."""
    mend = "set category_fees = false; the tariff is then not compared."
    if _CATEGORIES_PATH not in paths:
        seen = "This Koha does not show its patron categories over the API (23.05 does not, 26.02 does)."
        return Finding(Level.ERROR, CATEGORIES.subject, seen, f"Update Koha, or {mend}")
    found = needed(CATEGORIES, client)
    return Finding(found.level, found.subject, found.seen, f"{found.mend}; or {mend}" if found.mend else "")


def _surplus(probe: Probe, client: KohaClient) -> list[Finding]:
    """Warn when a right that is not needed is there."""
    subject = CIRCULATION.subject
    try:
        answer = probe.ask(client)
    except RemoteError as error:
        return [error_finding(subject, error)]
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
        return [*findings, error_finding(subject, error)]
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
        return error_finding(subject, error)
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
