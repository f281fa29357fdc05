"""What ``ils-payment check`` shows: each request as it is filled in, and each answer as it is understood.

Only questions are asked, and only about the test card; a request that writes is shown and never sent. Cards,
PINs and secrets show as dots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.errors import ConfigurationError, PinNeededError, RemoteAbsentError, RemoteError
from ils_payment.model import Finding, Level
from ils_payment_opac_soap import mapping, reading, tree
from ils_payment_opac_soap.client import PINRefusedError
from ils_payment_opac_soap.templates import HIDDEN, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.ports import Host
    from ils_payment_opac_soap.client import SOAPClient
    from ils_payment_opac_soap.config import SOAPConfig
    from ils_payment_opac_soap.preset import Operation

_DOTS = "..."
_SHOWN = 900
_NOBODY = "0"
_WRONG_PIN = "0"
"""No library gives out a card or a PIN of one character."""
_SAMPLE = {
    "amount": "1",
    "line_amount": "1",
    "ref": "1",
    "refs": "1",
    "marker": "ILSP-000000-0",
    "method": "X",
    "until": "2030-12-31",
    "block": "X",
    "today": "2030-01-01",
    "currency": "EUR",
    "language": "de",
}


def run(client: SOAPClient, config: SOAPConfig, host: Host) -> list[Finding]:
    """Return the findings."""
    return [
        *_preset(config),
        *_use(config),
        *_requests(client, config),
        *_Questions(client, config, host).asked(),
        *_absent(config),
    ]


def _use(config: SOAPConfig) -> list[Finding]:
    """Say when nothing can be paid with this preset."""
    missing = [name for name in ("fees", "pay") if getattr(config.spoken.operations, name) is None]
    if not missing:
        return []
    seen = f"With this preset nobody can pay here: it has no operation for {' and '.join(missing)}."
    mend = (
        "Copy it, describe your maker's operation, and name the copy as preset_file; see docs/opac-soap.md."
    )
    return [Finding(Level.ERROR, "preset: use", seen, mend)]


def _preset(config: SOAPConfig) -> list[Finding]:
    spoken = config.spoken
    seen = f"{spoken.title}: {spoken.rests_on}."
    if spoken.verified:
        return [Finding(Level.OK, "preset", seen)]
    mend = "Look at each answer below, pay one small fee of a test card, and compare what is booked."
    return [Finding(Level.WARNING, "preset", seen, mend)]


def _requests(client: SOAPClient, config: SOAPConfig) -> list[Finding]:
    """Show every request, nothing of it sent."""
    return [_request(client, config, name, one) for name, one in config.spoken.operations.all()]


def _request(client: SOAPClient, config: SOAPConfig, name: str, operation: Operation) -> Finding:
    subject = f"request {name}"
    values = {**dict.fromkeys(VARIABLES, _DOTS), **_SAMPLE, **config.all_values} | dict.fromkeys(
        HIDDEN, _DOTS
    )
    line = {"ref": _SAMPLE["ref"], "line_amount": _SAMPLE["line_amount"]}
    try:
        prepared = client.builder.build(operation, values, [line])
    except ConfigurationError as error:
        return Finding(Level.ERROR, subject, error.what, error.mend)
    text = prepared.body.decode("utf-8", "replace").partition("?>")[2].strip()
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
    return Finding(Level.OK, subject, f"{operation.known} ({operation.source}): {' '.join(shown.split())}")


class _Questions:
    """Asks every question about the test card."""

    def __init__(self, client: SOAPClient, config: SOAPConfig, host: Host) -> None:
        self._client, self._config, self._host = client, config, host
        self._does = config.spoken.operations
        self._card = config.check_card.get_secret_value() if config.check_card else ""
        self._pin = config.check_pin.get_secret_value() if config.check_pin else ""

    def asked(self) -> list[Finding]:
        """Return what came of each question; without a test card only our own login is tried."""
        found = []
        if self._does.login is not None:
            found.append(self._tried("answer to login", self._login))
        if self._does.login is None and self._does.sign_in is not None and not self._card:
            found.append(self._reached())
        if not self._card or (self._config.spoken.needs_pin and not self._pin):
            mend = "Set check_card and check_pin to those of a test card."
            return [
                *found,
                Finding(Level.WARNING, "answers", "No patron was read: no test card is named.", mend),
            ]
        if self._does.sign_in is not None:
            if self._pin:
                found.append(self._tried("answer to sign_in", self._sign_in))
            found.append(self._wrong_pin())
        questions: tuple[tuple[str, object, Callable[[], str]], ...] = (
            ("find_patron", self._does.find_patron, self._find),
            ("fees", self._does.fees, self._fees),
            ("card", self._does.card or self._does.blocks, self._read_card),
            ("credits", self._does.credits, self._credits),
        )
        return found + [self._tried(f"answer to {name}", ask) for name, there, ask in questions if there]

    def _tried(self, subject: str, ask: Callable[[], str]) -> Finding:
        try:
            return Finding(Level.OK, subject, ask())
        except (PINRefusedError, PinNeededError) as error:
            return Finding(Level.ERROR, subject, error.what, "Correct check_card and check_pin.")
        except RemoteError as error:
            return Finding(Level.ERROR, subject, error.what, error.mend)

    def _login(self) -> str:
        self._client.sign_in_again()
        return "The session has begun."

    def _sign_in(self) -> str:
        self._patron()
        return "Card and PIN of the test card are accepted, and the answer names the patron."

    def _reached(self) -> Finding:
        """Sign in with a card that no library has, where nothing else tells whether anybody answers."""
        subject, proving = "answer to nobody", self._does.sign_in
        try:
            if proving is not None:
                self._client.ask(proving, {"card": _NOBODY, "pin": _WRONG_PIN})
        except (PINRefusedError, RemoteAbsentError):
            return Finding(Level.OK, subject, "The service answers, and refuses a card that does not exist.")
        except RemoteError as error:
            mend = error.mend or "Name a test card, and look at the answers then."
            return Finding(Level.ERROR, subject, error.what, mend)
        return Finding(
            Level.ERROR, subject, "A card that does not exist is accepted.", "Correct ok in sign_in."
        )

    def _wrong_pin(self) -> Finding:
        """Look whether a wrong PIN is refused: else anybody could sign in with a card number."""
        subject, proving = "answer to a wrong PIN", self._does.sign_in
        try:
            if proving is not None:
                self._client.ask(proving, {"card": self._card, "pin": _WRONG_PIN})
        except PINRefusedError:
            return Finding(Level.OK, subject, "It is refused.")
        except RemoteError as error:
            mend = "Write the code of that answer under errors.refused of operations.sign_in."
            return Finding(Level.ERROR, subject, f"It is not refused but fails: {error.what}", mend)
        mend = "Correct ok under operations.sign_in; until then nobody may sign in."
        return Finding(Level.ERROR, subject, "A wrong PIN is accepted.", mend)

    def _patron(self) -> str:
        proving = self._does.sign_in
        if proving is None or not proving.patron or not self._pin:
            return self._card
        answer = self._client.ask(proving, {"card": self._card, "pin": self._pin})
        mapping.prove_patron(answer, proving, self._card, tree.first(answer, proving.patron))
        return tree.first(answer, proving.patron)

    def _known(self) -> dict[str, str]:
        return {"patron": self._patron(), "card": self._card, "pin": self._pin}

    def _find(self) -> str:
        finding = self._does.find_patron
        answer = self._client.ask(finding, {"card": self._card}) if finding else ""
        named = tree.first(answer, finding.patron) if finding and finding.patron else self._card
        return "The test card is found." if named else "The answer names no patron."

    def _fees(self) -> str:
        account = reading.account(self._client, self._config, self._host, self._known())
        kinds = ", ".join(sorted({fee.kind for fee in account.fees})) or "none"
        payable = sum(fee.payable for fee in account.fees)
        whole = "" if account.complete else " More is owed than the fees add up to: some are missing."
        return (
            f"Fees: {len(account.fees)}, of which {payable} can be paid; amounts in cents: "
            f"{', '.join(str(fee.cents) for fee in account.fees) or 'none'}; balance: {account.balance}; "
            f"kinds: {kinds}; with a day: {sum(fee.since is not None for fee in account.fees)}.{whole}"
        )

    def _read_card(self) -> str:
        card = reading.card(self._client, self._config, self._host, self._known())
        until = "with an expiry" if card.valid_until else "without an expiry"
        blocks = ", ".join(block.kind for block in card.blocks) or "none"
        return f"The card is read, {until}; category: {card.category or 'none'}; blocks: {blocks}."

    def _credits(self) -> str:
        listing = self._does.credits
        if listing is None:
            return ""
        answer = self._client.ask(listing, self._known())
        return f"Payments that are listed: {len(tree.find(answer, listing.items))}."


def _absent(config: SOAPConfig) -> list[Finding]:
    """Say what this preset cannot do, and why."""
    return [Finding(Level.OK, f"absent: {name}", f"{why}.") for name, why in config.spoken.absent.items()]
