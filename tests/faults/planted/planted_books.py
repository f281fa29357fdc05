"""Defects in the ledger: postings, holds and cases."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

from ils_payment.domain import ledger
from ils_payment.flows import freeze, pay
from ils_payment.store import cases, chain, payments
from ils_payment.store.unit import Store
from tests.faults.planted.registry import defect, instead


@defect("kill_after_commit", "kill_before_commit", "commit_lost_before", "commit_lost_after")
def commit_split(patch):
    """State and postings are committed one after the other."""
    later = []

    def move(original, unit, payment, what, *, postings=(), **more):
        after = original(unit, payment, what, **more)
        if postings:
            later.append((payment.id, what, after.state, list(postings)))
        return after

    unsplit = Store.unit

    @contextmanager
    def unit(self):
        with unsplit(self) as first:
            yield first
        while later:
            payment_id, what, state, moved = later.pop()
            with unsplit(self) as second:
                chain.append(second, payment_id, what, state, {}, moved)

    instead(patch, payments, "move", move)
    patch.setattr(Store, "unit", unit)


@defect()
def posted_twice(patch):
    """Settled lines are posted twice."""
    instead(patch, ledger, "settled", lambda original, *args: _two(original, args))


def _two(original, args):
    lines, postings = list(args[0]), list(args[1])
    return [*original(lines, postings), *original(lines, postings)]


@defect()
def posted_to_the_wrong_line(patch):
    """All settled cents are posted to the first line."""

    def settled(original, lines, postings):
        moved = original(lines, postings)
        return [replace(moved[0], cents=sum(one.cents for one in moved))]

    instead(patch, ledger, "settled", settled)


@defect()
def paid_posted_short(patch):
    """The last line of a payment is left out of the books."""
    instead(patch, ledger, "paid", lambda original, lines: original(list(lines)[:-1]))


@defect("fee_paid_at_desk", "chargeback", "ils_deadlock", "paid_wrong_amount", "fee_waived")
def held_money_not_in_the_case_account(patch):
    """What a held payment was to settle stays in the account of what is to be settled."""
    instead(patch, ledger, "to_case", lambda _original, _postings: [])


@defect("paid_wrong_amount", "paid_wrong_currency")
def wrong_payment_not_in_the_books(patch):
    """An amount that does not fit is not posted."""
    instead(patch, ledger, "paid_wrong", lambda *_args: [])


@defect("fee_paid_at_desk", "chargeback", "ils_deadlock", "paid_wrong_amount", "fee_waived")
def hold_without_case(patch):
    """A payment is held, and no case says why."""
    instead(patch, cases, "open_case", lambda *_args, **_more: None)


@defect("fee_paid_at_desk", "chargeback", "ils_deadlock", "paid_wrong_amount", "fee_waived")
def case_without_hold(patch):
    """A case is opened, and its payment goes on by itself."""

    def move(original, unit, payment, what, **more):
        after = original(unit, payment, what, **more)
        if more.get("case") is None or payment.held:
            return after
        unit.connection.exec_driver_sql("UPDATE payments SET held = 0 WHERE id = ?", (payment.id,))
        loaded = payments.load(unit, payment.id)
        assert loaded is not None
        return loaded

    instead(patch, payments, "move", move)


@defect()
def hash_without_postings(patch):
    """The chain of hashes does not cover the postings."""
    instead(patch, chain, "digest", lambda original, row, _moved: original(row, []))


@defect()
def rows_not_chained(patch):
    """The hash of a row does not cover the row before it."""

    def digest(original, row, moved):
        return original({**row, "previous": ""}, moved)

    instead(patch, chain, "digest", digest)


@defect()
def personal_data_in_a_log_line(patch):
    """The log tells what a patron owes money for."""

    def line(original, desk, fee, line_id, today):
        pay.log.info("frozen", text=fee.text)
        return original(desk, fee, line_id, today)

    instead(patch, freeze, "_line", line)


@defect()
def personal_data_at_the_provider(patch):
    """The provider's page shows the title of the book."""

    def payer_lines(original, desk, payment, today):
        from ils_payment.model import AttemptLine

        return tuple(AttemptLine(text=_TEXTS.get(one.id, "?"), cents=one.cents) for one in payment.lines)

    def line(original, desk, fee, line_id, today):
        _TEXTS[line_id] = fee.text
        return original(desk, fee, line_id, today)

    instead(patch, freeze, "_line", line)
    instead(patch, freeze, "_payer_lines", payer_lines)


_TEXTS: dict[str, str] = {}
