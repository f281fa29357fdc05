"""Which fees may be paid online, and why not: configured rules on top of what the library system allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ils_payment.model import Account, Fee, LocalText

GROWING: LocalText = {
    "de": "Dieser Betrag steigt noch, bis das Medium zurückgegeben ist. Bitte geben Sie es zuerst zurück.",
    "en": "This amount keeps rising until the item is returned. Please return it first.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Fees that fit every given condition cannot be paid online; ``text`` tells the patron why."""

    text: LocalText
    kind: str | None = None
    status: str | None = None
    older_than_days: int | None = None

    def fits(self, fee: Fee, today: date) -> bool:
        """Tell whether *fee* is one of these; a fee without a date is never too old."""
        if self.kind is not None and fee.kind != self.kind:
            return False
        if self.status is not None and fee.status != self.status:
            return False
        if self.older_than_days is None:
            return True
        return fee.since is not None and fee.since < today - timedelta(days=self.older_than_days)


def judge(fee: Fee, rules: Sequence[Rule], today: date, *, growing_payable: bool) -> Fee:
    """Return *fee* with the configured rules applied; the first rule that fits counts."""
    if not fee.payable:
        return fee
    for rule in rules:
        if rule.fits(fee, today):
            return replace(fee, payable=False, reason=rule.text)
    if fee.growing and not growing_payable:
        return replace(fee, payable=False, reason=GROWING)
    return fee


def limit(account: Account) -> int:
    """Return the most that may be paid: what is owed after open credit, never less than nothing."""
    return max(account.balance, 0)
