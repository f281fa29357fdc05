"""From an answer to what the core knows: account, card, credits. Pure; what cannot be right is garbled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import WHOLE_ACCOUNT, Account, Block, Card, Credit, Fee
from ils_payment_opac_soap import texts, tree

if TYPE_CHECKING:
    from datetime import date, datetime

    from ils_payment.model import LocalText
    from ils_payment_opac_soap.preset import CardRead, Fees, Operation, Preset
    from ils_payment_opac_soap.tree import Tree

_TEXT_LIMIT = 300
_UNNAMED: LocalText = {
    "de": "Diese Gebühr hat in der Bibliothek keine Nummer. Bitte bezahlen Sie sie an der Theke.",
    "en": "This fee has no number at the library. Please pay it at the desk.",
}
_READ_ONLY: LocalText = {
    "de": "Diese Gebühr kann hier nicht bezahlt werden. Bitte bezahlen Sie sie an der Theke.",
    "en": "This fee cannot be paid here. Please pay it at the desk.",
}


def _garbled(what: str) -> NoReturn:
    raise RemoteGarbledError(
        f"The library system's answer {what}.",
        mend="Does the preset fit this version? ils-payment check shows how each answer is read.",
    )


def same(one: str, other: str) -> bool:
    """Tell whether two ids of a patron are the same; systems differ in case and in blanks around them."""
    return one.strip().casefold() == other.strip().casefold()


def prove_patron(answer: Tree, operation: Operation, *known: str) -> None:
    """Refuse an answer that is about somebody else; *known* are the names of the patron who was asked for."""
    if not operation.patron_echo:
        return
    named = tree.texts(answer, operation.patron_echo)
    if not named or not all(any(same(name, one) for one in known if one) for name in named):
        _garbled("is about another patron, or names none")


def cents(text: str, operation: Operation, preset: Preset, currency: str) -> int:
    """Return an amount of an answer in cents; garbled when it is none."""
    try:
        return texts.cents(text, preset.money_for(operation), currency, preset.money_of_texts)
    except ValueError:
        _garbled("has an amount that is none, or no whole number of cents")


def account(answer: Tree, preset: Preset, currency: str, read_at: datetime) -> Account:
    """Return what the patron owes."""
    reading = _fees_of(preset)
    named = tree.texts(answer, reading.currency) if reading.currency else []
    if any(one != currency for one in named):
        _garbled("counts in another currency than the library")
    owes_nothing = reading.none_if is not None and reading.none_if.holds(answer)
    listed = [] if owes_nothing else _items(answer, reading)
    fees: list[Fee] = []
    credit = 0
    for place, item in enumerate(listed):
        amount = cents(tree.first(item, reading.amount), reading, preset, currency)
        if amount > 0:
            fees.append(_fee(item, place, amount, preset))
        credit -= min(amount, 0)
    refs = [fee.ref for fee in fees if fee.ref is not None]
    if len(set(refs)) != len(refs):
        _garbled("gives two fees the same id")
    total = sum(fee.cents for fee in fees)
    balance = total - credit
    if reading.balance and not owes_nothing:
        balance = cents(tree.first(answer, reading.balance), reading, preset, currency)
    return Account(
        balance=balance,
        open_credit=max(total - balance, 0),
        fees=tuple(fees) if reading.ref else _whole(fees, balance, preset),
        read_at=read_at,
        # More is owed than the fees say, so some are missing.
        complete=total >= balance or not reading.ref,
    )


def _fees_of(preset: Preset) -> Fees:
    if preset.operations.fees is None:
        raise RemoteGarbledError("The preset has no operation that lists fees.")
    return preset.operations.fees


def _items(answer: Tree, reading: Fees) -> list[Tree]:
    items = tree.find(answer, reading.items)
    kept = [item for item in items if not any(one.holds(item) for one in reading.skip)]
    # An empty element is how some write an empty list.
    return [item for item in kept if item != ""]


def _fee(item: Tree, place: int, amount: int, preset: Preset) -> Fee:
    reading = _fees_of(preset)
    ref = tree.first(item, reading.ref)
    payable, reason = True, None
    if preset.operations.pay is None:
        payable, reason = False, _READ_ONLY
    elif reading.ref and not ref:
        payable, reason = False, _UNNAMED
    try:
        since = texts.day(tree.first(item, reading.since), preset.dates_for(reading))
    except ValueError:
        since = None
    return Fee(
        ref=ref or None,
        claim_key=ref or f"unnamed-{place}",
        cents=amount,
        kind=texts.line(tree.first(item, reading.kind)) or WHOLE_ACCOUNT,
        text=texts.line(tree.first(item, reading.text))[:_TEXT_LIMIT],
        payable=payable,
        reason=reason,
        since=since,
    )


def _whole(fees: list[Fee], balance: int, preset: Preset) -> tuple[Fee, ...]:
    """Return the one fee that stands for all, where a library system gives them no ids."""
    if balance <= 0:
        return ()
    text = "; ".join(fee.text for fee in fees if fee.text)[:_TEXT_LIMIT]
    payable = preset.operations.pay is not None
    return (
        Fee(
            ref=None,
            claim_key=WHOLE_ACCOUNT,
            cents=balance,
            kind=WHOLE_ACCOUNT,
            text=text,
            payable=payable,
            reason=None if payable else _READ_ONLY,
        ),
    )


def card(number: str, read: Tree | None, blocked: Tree | None, preset: Preset, today: date) -> Card:
    """Return the card: *read* answers ``operations.card``, *blocked* ``operations.blocks``."""
    known = preset.operations.card
    until = _until(read, known, preset) if known and read is not None else None
    kinds: dict[str, bool] = {}
    lifts = preset.lifts if preset.operations.unblock else {}
    for rules, answer in ((known, read), (preset.operations.blocks, blocked)):
        for rule in rules.blocks if rules and answer is not None else ():
            if rule.when.holds(answer or ""):
                kinds[rule.kind] = kinds.get(rule.kind, False) or rule.manual
    if until is not None and until < today:
        kinds["expired"] = False
    return Card(
        number=number,
        valid_until=until,
        category=texts.line(tree.first(read, known.category)) if known and read is not None else "",
        blocks=tuple(
            Block(kind=kind, manual=kinds[kind], liftable=kind in lifts and not kinds[kind])
            for kind in sorted(kinds)
        ),
    )


def _until(read: Tree, known: CardRead, preset: Preset) -> date | None:
    """Return the card's last day; garbled for what is none, or a card could look as if it never ended."""
    try:
        return texts.day(tree.first(read, known.valid_until), preset.dates_for(known))
    except ValueError:
        _garbled("has an expiry of the card that is no day")


def credits_of(answer: Tree, preset: Preset, currency: str, marker: str) -> list[Credit]:
    """Return the payments that carry *marker*: one, although it may stand at several fees."""
    reading = preset.operations.credits
    if reading is None:
        raise RemoteGarbledError("The preset has no operation that lists payments.")
    found = [item for item in tree.find(answer, reading.items) if tree.first(item, reading.marker) == marker]
    return [
        Credit(
            remote_ref=tree.first(item, reading.remote_ref) or marker,
            marker=marker,
            cents=cents(tree.first(item, reading.amount), reading, preset, currency),
            unapplied=0,
        )
        for item in found
    ]
