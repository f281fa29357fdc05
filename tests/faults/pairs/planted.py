"""Defects planted in plugins, and one in what the core does where nobody can look.

Each is a context manager for ``--patch tests.faults.pairs.planted:name``; its docstring says what is broken.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from ils_payment_adyen import webhook
from ils_payment_opac_soap.adapter import SOAPSystem
from ils_payment_sip2.adapter import SIP2System
from ils_payment_xbezahldienste import wire

from ils_payment.flows import settle
from ils_payment.model import Applied, NotApplied, PayState, Unclear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def _instead(where: object, name: str, made: Callable[..., Any]) -> Iterator[None]:
    """Replace the function *name* of *where* by ``made(original, ...)``."""
    original = getattr(where, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, lambda *values, **named: made(original, *values, **named))
        yield


def _unclear_as(told: Callable[[Any], Any], original: Callable[..., Any], *values: Any) -> Any:
    outcome = original(*values)
    return told(values[-1]) if isinstance(outcome, Unclear) else outcome


def _booked(order: Any) -> Applied:
    return Applied(remote_ref=order.marker, applied=order.cents, unapplied=0)


def _refused(_order: Any) -> NotApplied:
    return NotApplied(reason="no answer")


def sip2_silence_is_a_refusal() -> Any:
    """A payment by message 37 whose answer got lost counts as refused, and is sent again."""
    return _instead(SIP2System, "settle", partial(_unclear_as, _refused))


def sip2_silence_is_consent() -> Any:
    """A payment by message 37 whose answer got lost counts as booked."""
    return _instead(SIP2System, "settle", partial(_unclear_as, _booked))


def soap_silence_is_consent() -> Any:
    """A SOAP call whose answer got lost counts as booked."""
    return _instead(SOAPSystem, "settle", partial(_unclear_as, _booked))


def adyen_failed_is_paid() -> Any:
    """A notice that somebody could not pay counts as one that somebody paid."""

    def evidence(original: Any, *values: Any, success: bool, **named: Any) -> Any:
        return original(*values, success=True, **named)

    return _instead(webhook, "_evidence", evidence)


@contextmanager
def adyen_reversals_unheard() -> Iterator[None]:
    """What leaves at Adyen alone is not read in its notices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhook, "REVERSALS", {})
        yield


@contextmanager
def xbezahldienste_open_is_paid() -> Iterator[None]:
    """A transaction in which nobody has paid yet counts as paid."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "STATES", {**wire.STATES, "INITIAL": (PayState.PAID, False)})
        yield


def unclear_calls_are_repeated_unseen() -> Any:
    """A call without an answer is made again where nobody can look what the first one did."""
    return _instead(settle, "look_back", lambda _original, _work: (None, True))


DEFECTS = {
    "sip2_silence_is_a_refusal": ("sip2", 40),
    "sip2_silence_is_consent": ("sip2", 25),
    "soap_silence_is_consent": ("opac-soap", 114),
    "adyen_failed_is_paid": ("adyen", 1),
    "adyen_reversals_unheard": ("adyen", 24),
    "xbezahldienste_open_is_paid": ("xbezahldienste", 2),
    "unclear_calls_are_repeated_unseen": ("sisis", 11),
}
"""Each with the plugin whose pairs find it, and the first seed that does."""
