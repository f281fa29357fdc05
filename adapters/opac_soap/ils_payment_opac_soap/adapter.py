"""A library system that a preset describes. It writes in ``settle`` and ``renew_card``, with one call each.

What the preset has no operation for is declared absent. Nothing here knows a maker: see
:mod:`ils_payment_opac_soap.preset`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from ils_payment.by_card import PatronRefs, SignIns
from ils_payment.errors import (
    ConfigurationError,
    PinNeededError,
    RemoteAbsentError,
    RemoteError,
    RemoteRefusedError,
)
from ils_payment.model import (
    Binding,
    Lifted,
    MarkerSupport,
    NotApplied,
    Partial,
    Refused,
    Renewed,
    RenewSupport,
    Surplus,
    SystemCapabilities,
    Unavailable,
    Unclear,
)
from ils_payment_opac_soap import checks, mapping, outcomes, reading, texts, tree
from ils_payment_opac_soap.client import NotSentError, PINRefusedError, SOAPClient
from ils_payment_opac_soap.config import SOAPConfig
from ils_payment_opac_soap.outcomes import Error, Sent, error_of, succeeded
from ils_payment_opac_soap.templates import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ils_payment.model import (
        Account,
        Block,
        Card,
        Credit,
        CreditOrder,
        Fee,
        Finding,
        LiftOutcome,
        PatronRef,
        RenewOrder,
        RenewOutcome,
        SettleOutcome,
    )
    from ils_payment.ports import Host, PluginConfig
    from ils_payment_opac_soap.building import Prepared
    from ils_payment_opac_soap.outcomes import Answer
    from ils_payment_opac_soap.preset import Pay


class SOAPSystem:
    """The library system of one library with SOAP or NCIP; see :class:`ils_payment.ports.LibrarySystem`."""

    Config: ClassVar[type[PluginConfig]] = SOAPConfig

    def __init__(self, config: SOAPConfig, host: Host) -> None:
        self._config = config
        self._preset = config.spoken
        self._does = config.spoken.operations
        self._host = host
        self._client = SOAPClient(config, host)
        self._refs = PatronRefs(config.patron_key, "opac-soap")
        self._sign_ins = SignIns(host, config.remember_minutes * 60)

    def capabilities(self) -> SystemCapabilities:
        """What the preset has operations for, and what it says of paying."""
        pay, fees = self._does.pay, self._does.fees
        with_ids = fees is not None and bool(fees.ref)
        return SystemCapabilities(
            unattended_read=not self._preset.needs_pin,
            fee_ids=with_ids,
            marker=self._marker(),
            bound=Binding.DIRECTED if with_ids else Binding.LUMP,
            batch=pay is None or pay.per == "order",
            partial=pay.partial if pay else Partial.NONE,
            surplus=pay.surplus if pay else Surplus.FLOWS,
            credit_list=False,
            late_apply_max=timedelta(minutes=self._config.late_apply_minutes),
            sign_in=self._does.sign_in is not None,
            handed_over=False,
            can_renew=RenewSupport.GIVEN_DATE if self._does.renew else RenewSupport.NO,
            can_lift=self._does.unblock is not None,
            identity=self._config.url,
        )

    def _marker(self) -> MarkerSupport:
        """A marker can be read back where a list of payments shows it, and only if it was written at all."""
        pay = self._does.pay
        if pay is None or "marker" not in names(pay.input):
            return MarkerSupport.NONE
        return MarkerSupport.READABLE if self._does.credits else MarkerSupport.WRITE_ONLY

    def check(self) -> list[Finding]:
        """Show each question as it is sent and as its answer is read; nothing here can pay."""
        return checks.run(self._client, self._config, self._host)

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Prove card and PIN; where reading needs the PIN, fees and card are read now, too."""
        card = card.strip()
        proving = self._does.sign_in
        if proving is None or not _is_text(card) or not _is_text(pin):
            return Refused()
        try:
            answer = self._client.ask(proving, {"card": card, "pin": pin})
            mapping.prove_patron(answer, proving, card)
            patron = tree.first(answer, proving.patron) if proving.patron else self._as_written(card)
            if not patron:
                return Unavailable("soap_sign_in_names_no_patron")
            ref = self._refs.ref(patron)
            if self._preset.needs_pin:
                known = {"patron": patron, "card": card, "pin": pin}
                self._sign_ins.keep(ref, self._read_account(known), self._read_card(known))
        except (PINRefusedError, RemoteAbsentError):
            return Refused()
        except RemoteError as error:
            return Unavailable(str(error))
        return ref

    def find_patron(self, card: str) -> PatronRef | None:
        """Ask whether there is such a card, where the preset has an operation for it without a PIN."""
        card = card.strip()
        finding = self._does.find_patron
        if finding is None:
            raise _pin_needed()
        if not _is_text(card):
            return None
        try:
            return self._refs.ref(self._as_written(card))
        except RemoteAbsentError:
            return None

    def account(self, patron: PatronRef) -> Account:
        """Read what is owed; where that needs the PIN, as it was at the sign-in."""
        if self._preset.needs_pin:
            return self._remembered(patron)[0]
        return self._read_account(self._known(patron))

    def card(self, patron: PatronRef) -> Card:
        """Read the card; where that needs the PIN, as it was at the sign-in."""
        if self._preset.needs_pin:
            return self._remembered(patron)[1]
        return self._read_card(self._known(patron))

    def titles(self, fees: Sequence[Fee]) -> Mapping[str, str]:
        """Return nothing: titles are not read."""
        return {}

    def settle(self, order: CreditOrder) -> SettleOutcome:
        """Send one call: **money moves here**. The outcomes are :data:`outcomes.OUTCOMES`."""
        pay = self._does.pay
        if pay is None:
            return NotApplied(reason="soap_preset_cannot_pay", permanent=True)
        problem = outcomes.order_problem(order, pay, self._preset, self._host.library.currency)
        if problem is not None:
            return NotApplied(reason=problem, permanent=True)
        try:
            patron = self._refs.card(order.patron)
        except RemoteAbsentError:
            return NotApplied(reason="order_patron_is_not_of_this_key", permanent=True)
        # Whatever comes of it, what was read at the sign-in is not true any more.
        self._sign_ins.forget(order.patron)
        prepared = self._prepared_payment(order, pay, patron)
        if isinstance(prepared, NotApplied):
            return prepared
        answer = self._send_once("settle", prepared, order.send_before)
        if not isinstance(answer, outcomes.Answer):
            return answer
        errors = pay.errors or outcomes.NOTHING_IS_CERTAIN
        if error_of(answer, errors) is Error.SESSION:
            # The next try signs in again; this call is over.
            self._client.forget_session()
        return outcomes.settle_outcome(
            answer, Sent(order, patron, pay, errors, self._preset, self._host.library.currency)
        )

    def renew_card(self, order: RenewOrder) -> RenewOutcome:
        """Write the new expiry with one call, if the card still says what the core read."""
        renewing = self._does.renew
        if renewing is None or order.until is None:
            return NotApplied(reason="soap_preset_cannot_renew", permanent=True)
        if order.base is not None and order.until <= order.base:
            return NotApplied(reason="order_expiry_not_later", permanent=True)
        try:
            known = self._known(order.patron)
            if self._read_card(known).valid_until != order.base:
                return NotApplied(reason="soap_card_changed_meanwhile", permanent=True)
            until = texts.day_text(order.until, self._preset.dates_for(renewing))
            values = {**known, "until": until, "marker": order.marker}
            prepared = self._client.prepare_write(renewing, values)
        except (RemoteError, ConfigurationError) as error:
            return NotApplied(reason=f"soap_not_sent: {error}")
        answer = self._send_once("renew", prepared, order.send_before)
        if not isinstance(answer, outcomes.Answer):
            return answer
        if succeeded(answer, renewing):
            return Renewed(valid_until=order.until)
        return outcomes.without_success(answer, renewing.errors or outcomes.NOTHING_IS_CERTAIN)

    def lift_block(self, patron: PatronRef, block: Block) -> LiftOutcome:
        """Take one block away with one call, if the preset says how."""
        lifting, text = self._does.unblock, self._preset.lifts.get(block.kind, "")
        if lifting is None or not text or block.manual:
            return NotApplied(reason="soap_preset_cannot_lift", permanent=True)
        try:
            prepared = self._client.prepare_write(lifting, {**self._known(patron), "block": text})
        except (RemoteError, ConfigurationError) as error:
            return NotApplied(reason=f"soap_not_sent: {error}")
        answer = self._send_once("lift", prepared, None)
        if not isinstance(answer, outcomes.Answer):
            return answer
        if succeeded(answer, lifting):
            return Lifted()
        return outcomes.without_success(answer, lifting.errors or outcomes.NOTHING_IS_CERTAIN)

    def find_credits(self, patron: PatronRef, marker: str) -> Sequence[Credit]:
        """Look for the marker among the patron's payments."""
        listing = self._does.credits
        if listing is None:
            raise RemoteRefusedError("The preset has no operation that lists payments.")
        known = self._known(patron)
        answer = self._client.ask(listing, known)
        mapping.prove_patron(answer, listing, known["patron"])
        return mapping.credits_of(answer, self._preset, self._host.library.currency, marker)

    def recent_credits(self, patron: PatronRef, since: datetime) -> Sequence[Credit]:
        """Refuse: presets know no list of payments with their times. The core does not ask."""
        raise RemoteRefusedError("The preset has no operation that lists payments by time.")

    def _prepared_payment(self, order: CreditOrder, pay: Pay, patron: str) -> Prepared | NotApplied:
        """Build the request; what goes wrong here is before anything was sent."""
        style, currency = self._preset.money_for(pay), order.currency
        lines = [
            {"ref": line.ref or "", "line_amount": texts.amount(line.cents, style, currency)}
            for line in order.lines
        ]
        values = {
            "patron": patron,
            "marker": order.marker,
            "amount": texts.amount(order.cents, style, currency),
            "method": self._config.payment_type_of(order.method),
            "refs": pay.join.join(line["ref"] for line in lines),
            **(lines[0] if len(lines) == 1 else {}),
        }
        try:
            return self._client.prepare_write(pay, values, lines)
        except (RemoteError, ConfigurationError) as error:
            return NotApplied(reason=f"soap_not_sent: {error}")

    def _send_once(
        self, what: str, prepared: Prepared, send_before: datetime | None
    ) -> Answer | NotApplied | Unclear:
        """Send one call that writes, never twice; say what is known where there is no answer."""
        if send_before is not None and self._host.now() > send_before:
            return NotApplied(reason="soap_not_sent_in_time")
        self._host.failpoint(f"opac_soap.{what}.before")
        try:
            answer = self._client.send(prepared)
        except NotSentError as error:
            return NotApplied(reason=f"soap_not_reached: {error}")
        except RemoteError as error:
            return Unclear(reason=f"soap_answer_lost: {error}")
        self._host.failpoint(f"opac_soap.{what}.after")
        return answer

    def _as_written(self, card: str) -> str:
        """Return the patron's id as the library system writes it, so that one patron has one reference."""
        finding = self._does.find_patron
        if finding is None:
            return card
        answer = self._client.ask(finding, {"card": card})
        mapping.prove_patron(answer, finding, card)
        return tree.first(answer, finding.patron) or card

    def _known(self, ref: PatronRef) -> dict[str, str]:
        return {"patron": self._refs.card(ref)}

    def _remembered(self, ref: PatronRef) -> tuple[Account, Card]:
        found = self._sign_ins.of(ref)
        if found is None:
            raise _pin_needed()
        return found

    def _read_account(self, known: Mapping[str, str]) -> Account:
        return reading.account(self._client, self._config, self._host, known)

    def _read_card(self, known: Mapping[str, str]) -> Card:
        return reading.card(self._client, self._config, self._host, known)


def _is_text(text: str) -> bool:
    """Tell whether *text* can stand in a request."""
    return bool(text) and text.isprintable()


def _pin_needed() -> PinNeededError:
    return PinNeededError(
        "This library system answers with the patron's PIN only.",
        mend="The patron has to sign in again. A preset whose questions name no {pin} needs none.",
    )


__all__ = ["SOAPSystem"]
