"""``ils-payment check`` for Adyen: key, mode, merchant account, methods, payment page. No money moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.model import Attempt, AttemptLine, Finding, Level
from ils_payment_adyen import wire
from ils_payment_adyen.client import translate
from ils_payment_adyen.webhook import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ils_payment.ports import Host
    from ils_payment_adyen.client import Checkout
    from ils_payment_adyen.config import AdyenConfig

PROBE_CENTS = 2000
PROBE_REFERENCE = "ils-payment-check"


def check(checkout: Checkout, config: AdyenConfig, host: Host, methods: Sequence[str]) -> list[Finding]:
    """Return what was seen; the questions that follow a refused key are not asked."""
    findings = list(_mode(config))
    offered = _offered(checkout, config, host)
    if isinstance(offered, Finding):
        return [*findings, offered]
    findings.append(Finding(Level.OK, "key", "Adyen accepts the key for this merchant account"))
    findings += [_method(config, host, method, offered) for method in methods]
    findings.append(_page(checkout, config, host, methods[0]))
    findings += _webhook(config)
    return findings


def _mode(config: AdyenConfig) -> Iterator[Finding]:
    if config.live:
        yield Finding(Level.OK, "mode", "live: real money moves")
    else:
        yield Finding(
            Level.WARNING, "mode", "test: no money moves", 'Set platform = "live" and its keys to go live.'
        )
    if config.api_base:
        yield Finding(
            Level.WARNING, "key", "api_base: this is not Adyen but a simulation of it", "Remove api_base."
        )


def _offered(checkout: Checkout, config: AdyenConfig, host: Host) -> set[str] | Finding:
    """Ask for the methods that the account offers to a payer of the library, or say why that failed."""
    question = {
        "merchantAccount": config.merchant_account,
        "amount": {"currency": host.library.currency, "value": PROBE_CENTS},
        "countryCode": config.country,
        "channel": "Web",
    }
    try:
        answer = checkout.methods(question)
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
        told = translate(error)
        return Finding(Level.ERROR, "key", told.what, told.mend)
    listed = answer.get("paymentMethods") or []
    return {str(one.get("type")) for one in listed if isinstance(one, dict)}


def _method(config: AdyenConfig, host: Host, method: str, offered: set[str]) -> Finding:
    wanted = wire.adyen_methods(method, host.library.currency, allow_klarna=config.allow_klarna)
    missing = [name for name in wanted if name not in offered]
    mend = "Add it under Settings, Payment methods in Adyen's Customer Area, or ask Adyen's support for it."
    if len(missing) == len(wanted):
        return Finding(
            Level.ERROR, f"method: {method}", f"Adyen does not offer {' or '.join(wanted)} here", mend
        )
    if missing:
        return Finding(Level.WARNING, f"method: {method}", f"offered, but without {', '.join(missing)}", mend)
    return Finding(Level.OK, f"method: {method}", f"offered as {', '.join(wanted)}")


def _page(checkout: Checkout, config: AdyenConfig, host: Host, method: str) -> Finding:
    """Make a page as for a payment, look at it, and end it: nobody learns its address.

    A session cannot be ended; it is over after half an hour.
    """
    request = _probe(config, host, method)
    key = f"{PROBE_REFERENCE}-{int(host.now().timestamp())}"
    try:
        if config.checkout == "sessions":
            made = checkout.start_session(request, key)
        else:
            made = checkout.make_link(request, key)
            checkout.expire_link(str(made.get("id")))
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
        told = translate(error)
        return Finding(Level.ERROR, f"payment page ({config.checkout})", told.what, told.mend)
    wrong = wire.complaint(made, request, origin=config.redirect_origin)
    if wrong:
        return Finding(Level.ERROR, f"payment page ({config.checkout})", wrong, "See docs/adyen.md.")
    ended = "was ended at once" if config.checkout == "links" else "ends after half an hour"
    return Finding(Level.OK, f"payment page ({config.checkout})", f"tried with one that {ended}")


def _probe(config: AdyenConfig, host: Host, method: str) -> dict[str, Any]:
    attempt = Attempt(
        key=PROBE_REFERENCE,
        reference=PROBE_REFERENCE,
        cents=PROBE_CENTS,
        currency=host.library.currency,
        method=method,
        lines=(AttemptLine(text="ils-payment check", cents=PROBE_CENTS),),
        language="en",
        return_url="https://example.org/",
        cancel_url="https://example.org/",
        created_at=host.now(),
    )
    return wire.request_for(attempt, config, payee=host.library.name)


def _webhook(config: AdyenConfig) -> Iterator[Finding]:
    """Say what has to be looked at in the Customer Area: the Checkout key may not see webhooks."""
    yield Finding(
        Level.WARNING,
        "webhook",
        f"cannot be seen with this key; these events are needed: {', '.join(EVENTS)}",
        "Look under Developers, Webhooks in Adyen's Customer Area whether the last ones got a 200.",
    )
    if config.checkout == "sessions":
        yield Finding(
            Level.WARNING,
            "webhook OFFER_CLOSED",
            "with sessions, the fees of an abandoned payment are free again only after this event",
            'Switch the event on, or set checkout = "links".',
        )
