"""Koha as a library system. It writes in ``settle``, ``charge`` and ``renew_card``, with one call each.

What this rests on was seen on a running Koha 23.05.04; ``docs/koha.md`` lists the limits of Koha
that matter to a treasury.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from ils_payment.errors import RemoteAbsentError, RemoteError, RemoteRefusedError
from ils_payment.model import (
    Binding,
    MarkerSupport,
    NotApplied,
    Partial,
    Refused,
    RenewSupport,
    Surplus,
    SystemCapabilities,
    Unavailable,
    Unclear,
)
from ils_payment_koha import (
    answers,
    charging,
    checks,
    contacts,
    evidence,
    lookups,
    patrons,
    renewing,
    settling,
    wire,
)
from ils_payment_koha.client import KohaClient, NotSentError
from ils_payment_koha.config import KohaConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from ils_payment.model import (
        Account,
        Card,
        CategoryFee,
        Charge,
        ChargeOrder,
        ContactData,
        Credit,
        CreditOrder,
        ExpiringCard,
        Fee,
        Finding,
        PatronRef,
        RenewOrder,
        RenewOutcome,
        SettleOutcome,
        Unreadable,
    )
    from ils_payment.ports import Host, PluginConfig

_NEWEST = 20
"""How many of the newest credits one look-up reads; more since the last settle call are not expected."""


class KohaSystem:
    """The library system of one library with Koha; see :class:`ils_payment.ports.LibrarySystem`."""

    Config: ClassVar[type[PluginConfig]] = KohaConfig

    def __init__(self, config: KohaConfig, host: Host) -> None:
        self._config = config
        self._host = host
        self._client = KohaClient(config, host)

    def capabilities(self) -> SystemCapabilities:
        """A Koha credit is directed at lines, carries a marker in its note, and lets a surplus flow on."""
        return SystemCapabilities(
            unattended_read=True,
            fee_ids=True,
            marker=MarkerSupport.READABLE,
            bound=Binding.DIRECTED,
            batch=True,
            partial=Partial.LINE,
            surplus=Surplus.FLOWS,
            credit_list=True,
            late_apply_max=timedelta(minutes=self._config.late_apply_minutes),
            sign_in=self._config.sign_in,
            can_charge=True,
            can_renew=RenewSupport.GIVEN_DATE if self._config.renew else RenewSupport.NO,
            # Koha shows restrictions and has no path that lifts one (seen).
            can_lift=False,
            lists_expiring=True,
            prices_categories=self._config.category_fees,
            titles=self._config.titles,
            shows_contact=True,
            shows_evidence=self._config.evidence_attribute is not None,
            identity=self._config.url,
        )

    def check(self) -> list[Finding]:
        """Test address, credentials, version, rights and names, without any call that could book."""
        return checks.run(self._client, self._config, self._host)

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Ask Koha to validate; a user name in the place of the card number is Koha's to accept.

        Koha says 400 "Validation failed" for a wrong card, a wrong password and a card locked after
        too many wrong ones alike, and 500 for a password that has expired (all seen). Its count of
        wrong passwords knows no time, only the next right one ends it (read in the code); so it is
        asked about nobody who is near its end, by whichever name, and nobody can be locked from here.
        """
        if not self._config.sign_in:
            return Unavailable("koha_sign_in_switched_off")
        if not card or not pin:
            return Refused()
        # What Koha's database takes for the same name counts: the validation asks the same database.
        query = {"q": json.dumps([{"cardnumber": card}, {"userid": card}]), "_per_page": "20"}
        try:
            wrong = patrons.login_attempts(self._client.read("/patrons", query=query))
            # A negative number is Koha's mark for an account that staff have locked (read in the code).
            if not wrong or not all(0 <= count < self._config.stop_after_attempts for count in wrong):
                return Refused()
            answer = self._client.ask(
                "POST", "/auth/password/validation", body={"identifier": card, "password": pin}
            )
        except RemoteError as error:
            return Unavailable(str(error))
        if answer.status == 201:
            patron = patrons.validated_patron(answer.body)
            return patron if patron is not None else Unavailable("koha_sign_in_without_patron_id")
        if answer.status == 400 and answer.shape in {answers.Shape.ERROR, answers.Shape.CODE}:
            return Refused()
        if answer.status == 403:
            return Unavailable("koha_sign_in_403: the service patron needs the whole right borrowers")
        return Unavailable(f"koha_sign_in_{answer.status}")

    def find_patron(self, card: str) -> PatronRef | None:
        """Look the card number up exactly: Koha's plain parameter would find parts of numbers (seen)."""
        if not card:
            return None
        query = {"q": json.dumps({"cardnumber": card}), "_per_page": "5"}
        return patrons.patron_of(self._client.read("/patrons", query=query), card)

    def account(self, patron: PatronRef) -> Account:
        """Read the account with one call; a line with a part of a cent makes it garbled."""
        answer = self._client.read_dated(f"/patrons/{_path(patron)}/account")
        # Koha's own clock, because its credits are dated by that.
        read_at = answers.http_date(answer.date) or self._host.now()
        body = answer.body
        return wire.account(body, patron, self._host.library.currency, read_at)

    def card(self, patron: PatronRef) -> Card:
        """Read the patron's record with one call; a card expires by the library's own calendar."""
        body = self._client.read(f"/patrons/{_path(patron)}")
        today = self._host.library.day_of(self._host.now())
        return patrons.card(body, today)

    def contact(self, patron: PatronRef) -> ContactData:
        """Read the patron's record with one call, for the patron's own eyes."""
        return contacts.contact(self._client.read(f"/patrons/{_path(patron)}"))

    def evidence_until(self, patron: PatronRef) -> date | Unreadable | None:
        """Read the patron's attributes with one call; the path is read in the specification, not seen."""
        path = f"/patrons/{_path(patron)}/extended_attributes"
        listed = self._client.read(path, query={"_per_page": "-1"})
        return evidence.last_day(listed, self._config.evidence_attribute or "")

    def titles(self, fees: Sequence[Fee]) -> Mapping[str, str]:
        """Look titles up by item and record; what cannot be had is left out and never hinders paying."""
        return lookups.titles(self._client, self._host, fees) if self._config.titles else {}

    def settle(self, order: CreditOrder) -> SettleOutcome:
        """Post one credit for all lines: **money moves here**, with a single request.

        Koha neither compares the lines with the patron nor refuses a fee that has been paid (seen);
        the core reads the account before and after. The outcomes are :data:`settling.OUTCOMES`.
        """
        problem = settling.order_problem(order, self._host.library.currency)
        if problem is not None:
            return NotApplied(reason=problem, permanent=True)
        text = settling.credit_text(
            order,
            payment_type=self._config.payment_type_of(order.method),
            description=self._config.description_of(order.method, order.marker),
            library_id=self._config.library_id,
        )
        authorization = self._authorization()
        if isinstance(authorization, NotApplied):
            return authorization
        self._host.failpoint("koha.settle.before")
        path = f"/patrons/{order.patron}/account/credits"
        answer = self._send_once("POST", path, text, authorization, order.send_before)
        if not isinstance(answer, answers.Answer):
            return answer
        self._host.failpoint("koha.settle.after")
        return settling.settle_outcome(answer, order)

    def charge(self, order: ChargeOrder) -> SettleOutcome:
        """Post one debit, so that the patron owes (again): **money moves here**, with a single request.

        After a refund: Koha reopens no line that has been paid and takes no credit back (seen), so this is a
        debit of its own, of the type that is configured for the fee's kind. For a renewed card: a new expiry
        charges nothing by itself (seen), so its fee is a debit from here that is then settled. A repeat makes
        another one (the same body was seen twice with credits; nothing in the code of debits looks for
        one, read).
        The outcomes are :data:`charging.OUTCOMES`.
        """
        problem = charging.order_problem(order, self._host.library.currency)
        if problem is not None:
            return NotApplied(reason=problem, permanent=True)
        text = charging.debit_text(
            order,
            debit_type=self._config.debit_type_of(order.kind, order.purpose),
            description=self._config.charge_text(order.purpose).format(
                marker=order.marker, settled_with=order.settled_with
            ),
            library_id=self._config.library_id,
        )
        authorization = self._authorization()
        if isinstance(authorization, NotApplied):
            return authorization
        self._host.failpoint("koha.charge.before")
        path = f"/patrons/{order.patron}/account/debits"
        answer = self._send_once("POST", path, text, authorization, order.send_before)
        if not isinstance(answer, answers.Answer):
            return answer
        self._host.failpoint("koha.charge.after")
        return charging.charge_outcome(answer, order)

    def renew_card(self, order: RenewOrder) -> RenewOutcome:
        """Read the patron, then put the new expiry with as few fields as Koha takes, with a single request.

        Koha has no call that compares before it writes (``If-Match`` is ignored, seen): what a clerk
        changes between the two calls, the expiry included, is overwritten. It charges nothing and leaves
        ``date_renewed`` alone (both seen). The outcomes are :data:`renewing.OUTCOMES`.
        """
        problem = renewing.order_problem(order) if self._config.renew else "koha_renewals_switched_off"
        if problem is not None:
            return NotApplied(reason=problem, permanent=True)
        path = f"/patrons/{order.patron}"
        try:
            text = renewing.patron_text(self._client.read(path), order)
        except RemoteAbsentError:
            return NotApplied(reason="koha_404_patron_missing", permanent=True)
        except RemoteError as error:
            return NotApplied(reason=f"koha_patron_not_read: {error}")
        if isinstance(text, NotApplied):
            return text
        authorization = self._authorization()
        if isinstance(authorization, NotApplied):
            return authorization
        self._host.failpoint("koha.renew.before")
        answer = self._send_once("PUT", path, text, authorization, order.send_before)
        if not isinstance(answer, answers.Answer):
            return answer
        self._host.failpoint("koha.renew.after")
        return renewing.renew_outcome(answer, order)

    def _authorization(self) -> str | NotApplied:
        """Get a token before anything is sent."""
        try:
            return self._client.authorization()
        except RemoteError as error:
            return NotApplied(reason=f"koha_no_token: {error}")

    def _send_once(
        self, method: str, path: str, text: str, authorization: str, send_before: datetime | None
    ) -> answers.Answer | NotApplied | Unclear:
        """Send one call that writes, never twice; say what is known where there is no answer."""
        if send_before is not None and self._host.now() > send_before:
            return NotApplied(reason="koha_not_sent_in_time")
        try:
            answer = self._client.write(method, path, text, authorization)
        except NotSentError as error:
            return NotApplied(reason=f"koha_not_reached: {error}")
        except RemoteError as error:
            return Unclear(reason=f"koha_answer_lost: {error}")
        if answer.status == 401:
            # The next try gets a new token; this call is over.
            self._client.forget_token()
        return answer

    def find_credits(self, patron: PatronRef, marker: str) -> Sequence[Credit]:
        """Look the marker up in the notes, also where staff wrote something beside it."""
        listed = self._marked(patron, "credits", marker)
        found = [wire.credit(line, self._host.library.currency) for line in listed]
        return [entry for entry in found if entry.marker == marker]

    def find_charges(self, patron: PatronRef, marker: str) -> Sequence[Charge]:
        """Look the marker up in the notes of the debits, those that have been paid meanwhile included.

        That the list of debits can be searched like that of credits is read in the code, not seen.
        """
        listed = self._marked(patron, "debits", marker)
        found = [wire.charge(line, self._host.library.currency) for line in listed]
        return [entry for entry in found if entry.marker == marker]

    def _marked(self, patron: PatronRef, kind: str, marker: str) -> list[object]:
        """Return the patron's *kind* of lines whose note holds *marker*, as the database compares."""
        # A marker has no % or _, the wildcards of SQL; wire.marker_in compares again.
        query = {"q": json.dumps({"internal_note": {"-like": f"%{marker}%"}}), "_per_page": "-1"}
        return wire.lines(self._client.read(f"/patrons/{_path(patron)}/account/{kind}", query=query))

    def recent_credits(self, patron: PatronRef, since: datetime) -> Sequence[Credit]:
        """Read the newest credits in one call and keep those made at or after *since*.

        Koha's clock tells whole seconds and may be a little behind ours.
        """
        path = f"/patrons/{_path(patron)}/account/credits"
        earliest = since.replace(microsecond=0) - timedelta(seconds=self._config.clock_tolerance_seconds)
        lines: list[object] = []
        for size in (_NEWEST, -1):
            query = {"_order_by": "-account_line_id", "_per_page": str(size)}
            read = wire.lines(self._client.read(path, query=query))
            lines = [line for line in read if wire.made_at(line) >= earliest]
            if len(lines) < _NEWEST:
                break
        return [wire.credit(line, self._host.library.currency) for line in lines]

    def expiring(self, since: date, until: date) -> Sequence[ExpiringCard]:
        """List the cards that end in these days, with the patron's first e-mail address and language."""
        return lookups.expiring(self._client, self._host, since, until)

    def category_fees(self) -> Sequence[CategoryFee]:
        """Read what Koha itself would take for each patron category; needs a Koha that shows them."""
        if not self._config.category_fees:
            raise RemoteRefusedError(
                "Koha is not asked what its categories cost.",
                mend="If it shows that, write category_fees = true.",
            )
        return lookups.category_fees(self._client, self._host.library.currency)


def _path(patron: PatronRef) -> str:
    """Return the patron's id as a part of a path; Koha has no patron whose id is not a number."""
    if not wire.is_number(patron):
        raise RemoteAbsentError(
            "The patron's id is not a number, so Koha has no such patron.",
            mend="Hand patrons over by their borrowernumber, not by card number or user name.",
        )
    return str(patron)


__all__ = ["KohaSystem"]
