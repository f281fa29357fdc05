"""What ``ils-payment check`` asks the server, and what it says of the answers; no message here can pay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.errors import RemoteAbsentError, RemoteError, RemoteGarbledError
from ils_payment.model import Finding, Level
from ils_payment_sip2 import patron, wire

if TYPE_CHECKING:
    from ils_payment.ports import Host
    from ils_payment_sip2.client import SIP2Client
    from ils_payment_sip2.config import SIP2Config
    from ils_payment_sip2.wire import Message

_WRONG_PIN = "0"
"""No library gives out a PIN of one character."""

ABSENT = (
    ("renew cards", "SIP2 has no message that renews a card; its messages 29 and 65 renew loans"),
    ("find a payment again", "SIP2 shows no payment, so a lost answer becomes a case for a clerk"),
    ("charge a fee again after a refund", "SIP2 has no message that charges a fee"),
    ("lift blocks", "SIP2 has no message that lifts a block"),
)
"""What this way to a library system can never do, and why."""


def run(client: SIP2Client, config: SIP2Config, host: Host) -> list[Finding]:
    """Return the findings; those that make further questions pointless end the list."""
    try:
        status = client.greet()
    except RemoteError as error:
        return [*_way(config), _error("SIP2: connection and login", error)]
    findings = [
        *_way(config),
        Finding(Level.OK, "SIP2: connection and login", "The server answers and accepts the login."),
        *_preset(config),
        *_messages(status, config),
        *_one_read(client, config, host),
    ]
    return [*findings, *_absent(config)]


def _error(subject: str, error: RemoteError) -> Finding:
    return Finding(Level.ERROR, subject, error.what, error.mend)


def _way(config: SIP2Config) -> list[Finding]:
    if config.security == "tls" or config.is_local:
        return []
    return [
        Finding(
            Level.WARNING,
            "SIP2: encryption",
            "Card numbers and PINs leave this machine unencrypted: security is tunnel.",
            "Make sure that a VPN or tunnel of your own carries them, or use TLS.",
        )
    ]


def _preset(config: SIP2Config) -> list[Finding]:
    return [
        Finding(
            Level.WARNING,
            "SIP2: dialect",
            f"The preset {config.preset} was not compared with a running server.",
            "Pay one small fee of a test card, and compare what the library system shows.",
        )
    ]


def _messages(status: Message | None, config: SIP2Config) -> list[Finding]:
    """Compare the messages that are needed with those that the server says it knows."""
    subject = "SIP2: messages"
    known = wire.supported(status) if status is not None else None
    if known is None:
        seen = "The server does not tell which messages it supports."
        return [Finding(Level.WARNING, subject, seen, "Ask its maker whether it takes message 37.")]
    needed = [config.spoken.read_with, "37", *(["35"] if config.spoken.end_session else [])]
    missing = [code for code in needed if code not in known]
    if missing:
        seen = f"The server says that it does not support message {', '.join(missing)}."
        mend = "Switch it on for this terminal, or ask its maker; 37 is the one that pays."
        return [Finding(Level.ERROR, subject, seen, mend)]
    return [Finding(Level.OK, subject, f"The server supports {', '.join(needed)}.")]


def _one_read(client: SIP2Client, config: SIP2Config, host: Host) -> list[Finding]:
    """Read the test card, where one is named: without a PIN, then with a wrong one."""
    subject = "SIP2: read a patron"
    if config.check_card is None:
        seen = "No patron was read: no test card is named."
        return [Finding(Level.WARNING, subject, seen, "Set check_card to the number of a test card.")]
    card = config.check_card.get_secret_value()
    if not wire.is_safe(card, config.spoken):
        seen = "The test card's number holds a character that a message cannot carry."
        return [Finding(Level.ERROR, subject, seen, "Correct check_card.")]
    return [_without_pin(client, card, config, host), _with_wrong_pin(client, card)]


def _without_pin(client: SIP2Client, card: str, config: SIP2Config, host: Host) -> Finding:
    subject, expected = "SIP2: read a patron without a PIN", config.spoken.reads_without_pin
    try:
        answer = client.ask_patron(card, None)
        patron.card_of(answer, card)
        account = patron.account(answer, config.spoken, host.library.currency, host.now())
        patron.card(answer, config.spoken, host.now().date())
    except RemoteGarbledError as error:
        return _error(subject, error)
    except RemoteAbsentError as error:
        if expected:
            return Finding(Level.ERROR, subject, error.what, "Correct check_card or reads_without_pin.")
        return Finding(Level.OK, subject, "The server does not answer, as the dialect says.")
    except RemoteError as error:
        if expected:
            return _error(subject, error)
        return Finding(Level.OK, subject, "The server does not answer, as the dialect says.")
    fees = len(account.fees) if config.spoken.has_fee_ids else "the sum of all"
    seen = f"The server answers; fees it lists: {fees}."
    if any("\N{REPLACEMENT CHARACTER}" in value for _, value in answer.fields):
        mend = "Set charset in the dialect to the server's."
        return Finding(Level.WARNING, subject, "A text of the answer has another character set.", mend)
    if not account.complete:
        seen = "More is owed than the listed fees add up to."
        return Finding(Level.ERROR, subject, seen, "Is fee_lines in the dialect right?")
    if not expected:
        mend = "Write dialect = { reads_without_pin = true }: payments are then compared before and after."
        return Finding(Level.WARNING, subject, f"{seen} The dialect says that it would not.", mend)
    return Finding(Level.OK, subject, seen)


def _with_wrong_pin(client: SIP2Client, card: str) -> Finding:
    """Look whether a wrong PIN is told from a right one: else anybody could sign in with a card number."""
    subject = "SIP2: PINs"
    try:
        verdict = client.ask_patron(card, _WRONG_PIN).first("CQ")
    except RemoteError as error:
        return _error(subject, error)
    if verdict == "N":
        return Finding(Level.OK, subject, "The server tells a wrong PIN from a right one (CQ).")
    seen = "The server calls a wrong PIN right." if verdict == "Y" else "The server does not judge PINs (CQ)."
    return Finding(Level.ERROR, subject, seen, "Let the server verify patrons' PINs for this terminal.")


def _absent(config: SIP2Config) -> list[Finding]:
    """Say what is absent, and why: nothing of it can be mended here."""
    absent = list(ABSENT)
    if not config.spoken.has_fee_ids:
        absent.append(("choose single fees", "this dialect gives fees no ids, so the whole balance is paid"))
    if not config.spoken.expiry_field:
        absent.append(("show until when a card is valid", "this dialect has no field for it"))
    if not config.spoken.reads_without_pin:
        why = "this dialect answers with the PIN only, so nobody can look before and after a payment"
        absent.append(("compare the account when a payment is booked", why))
    return [Finding(Level.OK, "SIP2: absent", f"Cannot {what}: {why}.") for what, why in absent]
