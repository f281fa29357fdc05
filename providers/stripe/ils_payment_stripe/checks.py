"""``ils-payment check`` for Stripe: key, rights, methods, webhook endpoint, clock. No money moves."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import stripe

from ils_payment.model import Attempt, AttemptLine, Finding, Level
from ils_payment_stripe import wire
from ils_payment_stripe.client import API_VERSION, translate
from ils_payment_stripe.webhook import EVENTS, SESSION_EVENTS, TOLERANCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stripe.params.checkout import SessionCreateParams

    from ils_payment.ports import Host
    from ils_payment_stripe.config import StripeConfig

PROBE_CENTS = 2000
"""Above the smallest amount that Stripe takes in each of the currencies; it is never paid."""

MAX_SECONDS_BEHIND = 50
"""A session lasts 31 minutes by our clock and at least 30 by Stripe's; the rest is for the way."""

NO_PAYMENT = "pi_ilsPaymentCheckNoSuchPayment"
"""Not of the shape of Stripe's ids, so that no account ever has it."""

PROBE_REFERENCE = "ils-payment-check"
"""What a probe's ``checkout.session.expired`` carries when it comes to the webhook."""


def check(
    client: stripe.StripeClient, config: StripeConfig, host: Host, methods: Sequence[str]
) -> list[Finding]:
    """Return what was seen; the questions that follow a refused key are not asked."""
    findings = list(_mode(config))
    key = _ask(
        "key",
        lambda: client.v1.checkout.sessions.list({"limit": 1}),
        lambda _: "Stripe accepts the key and lets it read Checkout Sessions",
    )
    findings.append(key.finding)
    if key.finding.level is Level.ERROR:
        return findings
    findings.append(_clock(key.answer, host))
    findings += _rights(client)
    for method in methods:
        findings += _probe(client, config, host, method)
    findings += _webhook(client, host)
    return findings


class _Asked:
    """An answer, None if there was none, and what is to be said of it."""

    def __init__(self, finding: Finding, answer: Any = None) -> None:  # noqa: ANN401 - one of many kinds of lists
        self.finding = finding
        self.answer = answer


def _ask(
    subject: str,
    question: Callable[[], Any],
    seen: Callable[[Any], str],
    *,
    failure: Level = Level.ERROR,
) -> _Asked:
    """Ask Stripe and say what was seen; a failure becomes a finding of the level *failure*."""
    try:
        answer = question()
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
        told = translate(error)
        return _Asked(Finding(failure, subject, told.what, told.mend))
    return _Asked(Finding(Level.OK, subject, seen(answer)), answer)


def _mode(config: StripeConfig) -> Iterator[Finding]:
    if config.live:
        yield Finding(Level.OK, "mode", "live: real money moves")
    else:
        yield Finding(
            Level.WARNING, "mode", "test: no money moves", "Put a live key into api_key to go live."
        )
    if config.api_key.get_secret_value().startswith("sk_"):
        yield Finding(
            Level.WARNING,
            "key",
            "the secret key can do everything on the account, pay out and refund included",
            "Make a restricted key with the rights that docs/stripe.md lists.",
        )
    if config.api_base:
        yield Finding(
            Level.WARNING, "key", "api_base: this is not Stripe but a simulation of it", "Remove api_base."
        )


def _clock(answer: Any, host: Host) -> Finding:  # noqa: ANN401 - the SDK's list of whatever was asked for
    """Compare our clock with the Date of Stripe's answer.

    One that is slow makes sessions that would end too soon for Stripe; one that is fast takes
    webhooks for old ones.
    """
    try:
        theirs = parsedate_to_datetime(answer.last_response.headers["date"])
    except (AttributeError, KeyError, ValueError):
        return Finding(Level.WARNING, "clock", "Stripe's answer carried no time to compare with")
    ahead = round((host.now() - theirs).total_seconds())
    seen = f"{abs(ahead)} s {'before' if ahead > 0 else 'behind'} Stripe's"
    mend = "Let the machine keep time by NTP (timedatectl set-ntp true)."
    if -ahead > MAX_SECONDS_BEHIND:
        return Finding(Level.ERROR, "clock", f"{seen}: every payment would be refused", mend)
    if ahead > TOLERANCE_SECONDS:
        return Finding(Level.ERROR, "clock", f"{seen}: every webhook would be refused", mend)
    if abs(ahead) > MAX_SECONDS_BEHIND // 2:
        return Finding(Level.WARNING, "clock", seen, mend)
    return Finding(Level.OK, "clock", "agrees with Stripe's")


def _rights(client: stripe.StripeClient) -> Iterator[Finding]:
    """Ask for one row of each kind that is needed.

    Payments work without the second group, so a right that is missing there is a warning. Whether the
    key may refund shows by a refund of a payment that no account has: without the right Stripe says
    403, with it that there is no such payment (that the right is looked at first is inferred).
    """
    needed: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("PaymentIntents", lambda: client.v1.payment_intents.list({"limit": 1})),
        ("Charges and Refunds", lambda: client.v1.charges.list({"limit": 1, "expand": ["data.refunds"]})),
        ("Disputes", lambda: client.v1.disputes.list({"limit": 1})),
    )
    for name, question in needed:
        yield _ask(f"right: {name}, read", question, lambda _: "there").finding
    books: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("Refunds, write", lambda: _is_no_such_payment(client)),
        (
            "Balance transactions, read",
            lambda: client.v1.balance_transactions.list({"limit": 1, "expand": ["data.source"]}),
        ),
        ("Payouts, read", lambda: client.v1.payouts.list({"limit": 1})),
    )
    for name, question in books:
        found = _ask(f"right: {name}", question, lambda _: "there", failure=Level.WARNING).finding
        mend = f"{found.mend} {_WITHOUT[name]}" if found.level is Level.WARNING else ""
        yield Finding(found.level, found.subject, found.seen, mend)


_WITHOUT = {
    "Refunds, write": "Without it, refunds are made in Stripe's dashboard.",
    "Balance transactions, read": "Without it, nothing can be reconciled or exported.",
    "Payouts, read": "Without it, the export cannot tell what arrived at the bank.",
}


def _is_no_such_payment(client: stripe.StripeClient) -> bool:
    """Try to refund a payment that does not exist; raise what Stripe says unless it is just that."""
    try:
        client.v1.refunds.create({"payment_intent": NO_PAYMENT, "amount": 1})
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise
    return True


def _probe(client: stripe.StripeClient, config: StripeConfig, host: Host, method: str) -> Iterator[Finding]:
    """Make a session as for a payment, look at what Stripe made of it, and end it at once.

    Only so can be seen whether the account offers the method, takes the statement descriptor and
    lets the key write. Nobody learns the session's address, so nobody can pay it.
    """
    request = _probe_request(config, host, method)
    made = _ask(
        f"method: {method}",
        lambda: client.v1.checkout.sessions.create(cast("SessionCreateParams", request)),
        lambda _: "offered (tried with a session that was ended at once)",
    )
    if made.finding.level is not Level.OK:
        yield made.finding
        return
    session = made.answer.to_dict()
    wrong = wire.complaint(session, request, live=config.live, origin=config.page_origin)
    yield Finding(Level.ERROR, f"method: {method}", wrong, "See docs/stripe.md.") if wrong else made.finding
    missing = set(request["allowed_payment_method_types"]) - set(session.get("payment_method_types") or ())
    if missing and not wrong:
        yield Finding(
            Level.WARNING,
            f"method: {method}",
            f"Stripe does not offer {', '.join(sorted(missing))}",
            "Switch it on in Stripe's dashboard, or leave it at the other one.",
        )
    ended = _ask(
        f"method: {method}",
        lambda: client.v1.checkout.sessions.expire(str(session["id"])),
        lambda _: "the session of this check is over",
        failure=Level.WARNING,
    )
    if ended.finding.level is not Level.OK:
        yield ended.finding


def _probe_request(config: StripeConfig, host: Host, method: str) -> dict[str, Any]:
    currency = host.library.currency
    attempt = Attempt(
        key=PROBE_REFERENCE,
        reference=PROBE_REFERENCE,
        cents=PROBE_CENTS,
        currency=currency,
        method=method,
        lines=(AttemptLine(text="ils-payment check", cents=PROBE_CENTS),),
        language="en",
        return_url="https://example.org/",
        cancel_url="https://example.org/",
        created_at=host.now(),
    )
    names = wire.stripe_methods(method, currency, allow_klarna=config.allow_klarna)
    return wire.request_for(
        attempt, names, statement_descriptor=config.statement_descriptor, payee=host.library.name
    )


def _webhook(client: stripe.StripeClient, host: Host) -> Iterator[Finding]:
    """Look at the webhook endpoint, if the key may; payments are found without it, but later."""
    # What comes before and behind these depends on public_url and the name of the provider's table.
    path = f"/webhooks/{host.library.key}/"
    asked = _ask(
        "webhook",
        lambda: client.v1.webhook_endpoints.list({"limit": 100}),
        lambda _: "",
        failure=Level.WARNING,
    )
    if asked.answer is None:
        yield Finding(
            Level.WARNING,
            "webhook",
            f"cannot be seen: {asked.finding.seen}",
            f"Give the key the right to read webhook endpoints, or look yourself for one under {path}.",
        )
        return
    endpoints = [endpoint.to_dict() for endpoint in asked.answer.data]
    ours = [endpoint for endpoint in endpoints if path in urlsplit(str(endpoint["url"])).path]
    if not ours:
        yield Finding(
            Level.ERROR,
            "webhook",
            f"no endpoint lies under {path}",
            "Make one at Stripe as docs/stripe.md says.",
        )
    for endpoint in ours:
        yield from _endpoint(endpoint)


def _endpoint(endpoint: Mapping[str, Any]) -> Iterator[Finding]:
    """Say what is wrong with one endpoint, or that it is right."""
    subject = f"webhook {endpoint['url']}"
    subscribed = set(endpoint.get("enabled_events") or ())
    missing = [] if "*" in subscribed else [kind for kind in EVENTS if kind not in subscribed]
    version = endpoint.get("api_version")
    found = []
    if endpoint.get("status") != "enabled":
        found.append(
            Finding(Level.ERROR, subject, "switched off at Stripe", "Enable it in Stripe's dashboard.")
        )
    if missing:
        level = Level.ERROR if set(missing) & set(SESSION_EVENTS) else Level.WARNING
        found.append(Finding(level, subject, f"lacks {', '.join(missing)}", "Add these events to it."))
    if version not in {None, API_VERSION}:
        found.append(
            Finding(
                Level.WARNING,
                subject,
                f"sends API version {version}; this program was written against {API_VERSION}",
                "Make a new endpoint with that version when convenient.",
            )
        )
    yield from found or [Finding(Level.OK, subject, "there, with all events")]
