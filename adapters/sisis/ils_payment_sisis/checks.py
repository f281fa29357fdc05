"""What ``ils-payment check`` asks SISIS, and what it says of the answers; nothing here can pay or renew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.errors import RemoteError
from ils_payment.model import Finding, Level
from ils_payment.transport import is_loopback
from ils_payment_sisis import wire
from ils_payment_sisis.slnp import SLNPReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment_sip2.adapter import SIP2System

    from ils_payment.model import Account, Card, PatronRef
    from ils_payment_sisis.config import SISISConfig
    from ils_payment_sisis.ncip import NCIPReader

_WRONG_PIN = "0"
"""No library gives out a PIN of one character."""

_SIP2_ABSENT = "SIP2: absent"

_UNVERIFIED = Finding(
    Level.WARNING,
    "SISIS: unverified",
    "Neither SLNP nor NCIP2SLNP was compared with a running SISIS.",
    "Compare what is shown of a test card with SISIS itself, and pay one small fee with it.",
)

ABSENT = (
    ("choose single fees", "SISIS gives fees no ids, so the whole balance is paid"),
    (
        "find a payment again",
        "neither way of reading shows payments, so a lost answer becomes a case for a clerk",
    ),
    ("charge a fee again after a refund", "no public command charges a fee"),
    ("lift blocks", "no public command lifts a block"),
)


def run(reader: SLNPReader | NCIPReader, till: SIP2System, config: SISISConfig) -> list[Finding]:
    """Return the findings of both ways; what SIP2 lacks and SISIS has elsewhere is not called absent."""
    reading = _slnp(reader, config) if isinstance(reader, SLNPReader) else _ncip(reader, config)
    writing = [finding for finding in till.check() if finding.subject != _SIP2_ABSENT]
    return [*reading, *writing, _UNVERIFIED, *_absent(config)]


def _slnp(reader: SLNPReader, config: SISISConfig) -> Iterator[Finding]:
    if reader.table.security == "tunnel" and not is_loopback(reader.table.host):
        yield Finding(
            Level.WARNING,
            "SISIS: encryption",
            "Card numbers and PINs leave this machine unencrypted: slnp.security is tunnel.",
            "Make sure that a VPN or tunnel of your own carries them, or use TLS.",
        )
    subject = "SISIS: SLNP"
    try:
        with reader.talk():
            pass
    except RemoteError as error:
        yield _error(subject, error)
        return
    yield Finding(Level.OK, subject, "The server greets, and accepts the login.")
    card = _card(config)
    if card is None:
        yield _no_card("writes.check_card to the number of a test card")
        return
    yield from _read(reader, card, config)
    yield _pins(reader, card)


def _read(reader: SLNPReader, card: str, config: SISISConfig) -> Iterator[Finding]:
    subject = "SISIS: read a patron"
    try:
        ref = reader.find(card)
        if ref is None:
            yield Finding(Level.ERROR, subject, "There is no such card.", "Correct writes.check_card.")
            return
        yield from _seen(reader.account(ref), reader.card(ref), config)
        own = reader.table.fees
        if own is not None:
            with reader.talk() as talking:
                total = sum(one.cents for one in reader.positions(talking, card))
            yield _adds_up(total, reader, ref)
    except RemoteError as error:
        yield _error(subject, error)


def _adds_up(total: int, reader: SLNPReader, ref: PatronRef) -> Finding:
    subject = "SISIS: list of fees"
    if total == reader.account(ref).balance:
        return Finding(Level.OK, subject, "The listed fees add up to what is owed.")
    seen = "The listed fees do not add up to what is owed, so their texts are not shown."
    return Finding(Level.WARNING, subject, seen, "Are the keys in slnp.fees right?")


def _seen(account: Account, card: Card, config: SISISConfig) -> Iterator[Finding]:
    subject = "SISIS: read a patron"
    yield Finding(Level.OK, subject, "The server says what is owed, and which blocks there are.")
    texts = [*(fee.text for fee in account.fees), *(block.text for block in card.blocks)]
    if any("\N{REPLACEMENT CHARACTER}" in text for text in texts):
        mend = "Does its greeting name another character set than it speaks?"
        yield Finding(Level.WARNING, subject, "A text of the answer has another character set.", mend)
    wants_end = config.slnp is None or config.slnp.record
    if wants_end and card.valid_until is None:
        seen = "The answer has no end of the card, so none is shown."
        yield Finding(Level.WARNING, subject, seen, "Does the test card have one?")


def _pins(reader: SLNPReader | NCIPReader, card: str) -> Finding:
    """Look whether a wrong PIN is told from a right one."""
    subject = "SISIS: PINs"
    try:
        signed_in = reader.sign_in(card, _WRONG_PIN)
    except RemoteError as error:
        return _error(subject, error)
    if signed_in is None:
        return Finding(Level.OK, subject, "SISIS tells a wrong PIN from a right one.")
    return Finding(Level.ERROR, subject, "SISIS calls a wrong PIN right.", "Ask your SISIS administrator.")


def _ncip(reader: NCIPReader, config: SISISConfig) -> Iterator[Finding]:
    card = _card(config)
    if card is None or config.check_pin is None:
        yield _no_card("writes.check_card and check_pin to a test card and its PIN")
        return
    try:
        _, account, read = reader.read(card, config.check_pin.get_secret_value())
    except wire.OpsError as error:
        subject, mend = "SISIS: read a patron", "Correct writes.check_card and check_pin."
        yield Finding(Level.ERROR, subject, error.what, mend)
        return
    except RemoteError as error:
        yield _error("SISIS: NCIP2SLNP", error)
        return
    except ValueError:
        yield Finding(
            Level.ERROR, "SISIS: read a patron", "XML cannot carry this card or PIN.", "Correct check_pin."
        )
        return
    yield Finding(Level.OK, "SISIS: NCIP2SLNP", "The gateway answers.")
    yield from _seen(account, read, config)
    yield _pins(reader, card)


def _absent(config: SISISConfig) -> list[Finding]:
    absent = list(ABSENT)
    if config.slnp is None:
        why = "NCIP2SLNP answers with the PIN only, so nobody can look before and after a payment"
        absent.append(("compare the account when a payment is booked", why))
    if config.slnp is None or config.slnp.renew is None:
        absent.append(("renew cards", "no public command renews a card; slnp.renew can name one of your own"))
    return [Finding(Level.OK, "SISIS: absent", f"Cannot {what}: {why}.") for what, why in absent]


def _card(config: SISISConfig) -> str | None:
    return config.writes.check_card.get_secret_value().strip() if config.writes.check_card else None


def _no_card(what: str) -> Finding:
    seen = "No patron was read: no test card is named."
    return Finding(Level.WARNING, "SISIS: read a patron", seen, f"Set {what}.")


def _error(subject: str, error: RemoteError) -> Finding:
    return Finding(Level.ERROR, subject, error.what, error.mend)
