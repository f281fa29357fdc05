"""The export: each line in exactly one file, the same file to the byte, and sums that are the ledger's."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import event, select, text

from ils_payment.config import Export
from ils_payment.domain import books as rules
from ils_payment.domain import ledger
from ils_payment.domain.ledger import Book, Posting
from ils_payment.domain.refunds import RefundState
from ils_payment.errors import RemoteUnavailableError, StoreBusyError
from ils_payment.flows.export import BooksDifferError, ExportRefusedError, export
from ils_payment.flows.reconcile import begin, reconcile
from ils_payment.flows.verify import verify
from ils_payment.model import Payout, PayoutEntry
from ils_payment.store import journal, payments, refunds
from ils_payment.store.books import Kept, keep
from ils_payment.store.journal_tables import exported, exported_remotes, exports
from tests.books.conftest import TREASURER, YESTERDAY, PaysOut, pay_one
from tests.conftest import KOHA

DAY = timedelta(days=1)


def made(town, first=YESTERDAY, last=YESTERDAY, **options):
    return export(town.house, town.desk, TREASURER, first, last, **options)


def rows_of(town, *days, **options):
    return rules.read(made(town, *days, **options).kept.content)


def keep_day(unit, number, day, content):
    """Keep an export of one day without postings, as if it had been made before."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    kept = Kept(
        number=number,
        library="lindental",
        first_day=day,
        last_day=day,
        at=unit.now,
        content=content,
        sha256=digest,
    )
    keep(unit, kept, [], [])


def post(town, what, make, **options):
    """Append postings to the town's payment, as a flow would."""
    with town.house.store.unit() as unit:
        payment = payments.load(unit, town.paid, lock=True)
        assert payment is not None
        payments.move(unit, payment, what, postings=make(payment.lines), **options)


def move(source, destination, cents=None, currency=""):
    def postings(lines):
        amount = cents or lines[0].cents
        return [
            Posting(
                line_id=None if currency else lines[0].id,
                source=source,
                destination=destination,
                cents=amount,
                currency=currency,
            )
        ]

    return postings


def nothing_kept(town):
    with town.house.store.read() as unit:
        kept = [
            unit.connection.execute(select(table)).all() for table in (exports, exported, exported_remotes)
        ]
        return kept == [[], [], []] and not journal.newest(unit, what="export")


def test_each_fee_line_is_a_row_that_a_german_spreadsheet_opens(books):
    content = made(books).kept.content
    assert content.startswith(
        "\ufeffid;type;day;late;mode;receipt_number;marker;fee_kind;cost_centre;account;state;"
        "gross;refund;fee;payout;moved;currency;method;provider;reference;tax_code;payout_id;export\r\n"
    )
    number = books.view(books.paid).number
    assert (
        f"{books.paid}-1;payment;2026-11-21;;test;{number};{number};OVERDUE;4711;331100;settled;"
        "4,50;;;;;EUR;card;stripe;;A1;;1\r\n"
    ) in content
    lines = rules.read(content)
    assert [line["gross"] for line in lines] == ["4,50", "1,50", "2,50", "4,00"]
    assert content.count("\r\n") == content.count("\n") == 5


@pytest.mark.parametrize("columns", rules.FORMER, ids=lambda columns: f"up to {columns[-1]}")
def test_a_file_without_rows_of_an_earlier_version_does_not_stand_in_the_way_of_more_days(books, columns):
    """It was made before the file had its last columns, and is handed out again to the byte."""
    old = rules.BOM + rules.DELIMITER.join(columns) + "\r\n"
    day = date(2026, 11, 1)
    with books.house.store.unit() as unit:
        keep_day(unit, 1, day, old)
    assert made(books, day, day).kept.content == old
    assert made(books, day, YESTERDAY).rows == 4


def test_the_day_is_that_of_the_library_and_not_of_greenwich(books):
    """It is 21:00 in Greenwich and 22:00 in the library; two hours later it is the next day there."""
    books.world.pass_time(hours=2)
    post(books, "noted", move(Book.LIBRARY_SYSTEM, Book.RETURNED, 100))
    books.world.pass_time(days=1)
    after_midnight = date(2026, 11, 23)
    [row] = rows_of(books, after_midnight, after_midnight)
    assert (row["day"], row["refund"]) == ("2026-11-23", "1,00")


def test_the_same_days_again_are_the_same_file_to_the_byte(each_books):
    first = made(each_books)
    post(each_books, "noted", move(Book.LIBRARY_SYSTEM, Book.RETURNED, 100))
    each_books.world.pass_time(days=3)
    again = made(each_books)
    assert again.kept == first.kept
    assert (first.repeated, again.repeated) == (False, True)
    with each_books.house.store.read() as unit:
        told = [(row["what"], row["actor"], row["facts"]["sha256"]) for row in journal.newest(unit)]
    assert told == [(what, TREASURER.name, first.kept.sha256) for what in ("export_again", "export")]


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        (YESTERDAY, YESTERDAY + DAY, "not over yet"),
        (YESTERDAY, YESTERDAY - DAY, "comes after"),
        (YESTERDAY - DAY, YESTERDAY, "Export 1 has the days 2026-11-21 to 2026-11-21"),
    ],
)
def test_days_that_cannot_be_exported_are_refused_with_what_to_do(books, first, last, says):
    made(books)
    with pytest.raises(ExportRefusedError, match=says) as refused:
        made(books, first, last)
    assert refused.value.mend
    with books.house.store.read() as unit:
        assert len(journal.newest(unit, what="export")) == 1


def test_days_on_which_nothing_happened_give_a_file_with_a_header_only(books):
    empty = made(books, date(2026, 11, 1), date(2026, 11, 2))
    assert empty.kept.content == rules.write([])
    assert (empty.rows, empty.totals) == (0, {})
    again = made(books, date(2026, 11, 1), date(2026, 11, 2))
    assert again.repeated
    for told in (empty, again):
        assert (
            "nothing happened on these days; they may be a part of a later export of more days" in told.notes
        )
    assert "nothing happened" not in " ".join(made(books).notes)


def test_an_export_of_an_empty_day_does_not_stand_in_the_way_of_the_whole_month(each_books):
    """Somebody tried the command on a quiet day; the treasury wants November up to yesterday."""
    quiet = date(2026, 11, 2)
    tried = made(each_books, quiet, quiet)
    each_books.provider.listed = [payout(each_books, arrival=quiet)]
    month = made(each_books, date(2026, 11, 1), YESTERDAY)
    assert (month.kept.number, month.late) == (tried.kept.number + 1, 0)
    rows = rules.read(month.kept.content)
    assert [row["day"] for row in rows if row["type"] == "payout"] == [quiet.isoformat()]
    assert [row["gross"] for row in rows if row["gross"]] == ["4,50", "1,50", "2,50", "4,00"]
    assert made(each_books, quiet, quiet).kept.content == tried.kept.content
    for first, last in ((quiet, quiet + DAY), (date(2026, 10, 30), YESTERDAY)):
        with pytest.raises(ExportRefusedError, match=f"Export {month.kept.number} has the days"):
            made(each_books, first, last)
    assert verify(each_books.house).findings == []


@pytest.mark.parametrize(("first", "last"), [(2, 3), (3, 4)])
def test_days_that_have_only_a_part_of_an_empty_export_are_refused(books, first, last):
    made(books, date(2026, 11, 2), date(2026, 11, 4))
    with pytest.raises(ExportRefusedError, match="Export 1 has the days 2026-11-02 to 2026-11-04"):
        made(books, date(2026, 11, first), date(2026, 11, last))


def test_what_appears_late_for_an_exported_day_comes_next_under_its_own_day(each_books):
    made(each_books)
    now = each_books.world._instant
    each_books.world._instant = now - DAY
    post(each_books, "noted", move(Book.LIBRARY_SYSTEM, Book.RETURNED, 100))
    each_books.world._instant = now + DAY
    post(each_books, "noted", move(Book.LIBRARY_SYSTEM, Book.RETURNED, 30))
    each_books.world.pass_time(days=2)
    found = made(each_books, YESTERDAY + DAY, YESTERDAY + 3 * DAY)
    assert [(row["day"], row["late"], row["refund"]) for row in rules.read(found.kept.content)] == [
        ("2026-11-21", "late", "1,00"),
        ("2026-11-23", "", "0,30"),
    ]
    assert found.late == 1
    assert rows_of(each_books, date(2026, 11, 1), date(2026, 11, 2)) == []


def test_days_that_were_skipped_are_exported_later_and_are_not_late(books):
    books.world.pass_time(days=3)
    assert rows_of(books, YESTERDAY + DAY, YESTERDAY + 2 * DAY) == []
    assert [row["late"] for row in rows_of(books)] == [""] * 4


def test_refunds_chargebacks_bookings_by_hand_and_vouchers_are_rows_on_their_own_day(each_books):
    with each_books.house.store.unit() as unit:
        payment = payments.load(unit, each_books.paid)
        assert payment is not None
        line = payment.lines[0]
        for kind, ref in (("refund", "re_1"), ("chargeback", "dp_1")):
            one = refunds.add(
                unit,
                payment,
                kind=kind,
                state=RefundState.EXTERNAL,
                parts=[(line.id, Book.LIBRARY_SYSTEM, 100)],
                asked_by="system",
                provider_ref=ref,
            )
            moved = ledger.Posting(
                line_id=line.id, source=Book.LIBRARY_SYSTEM, destination=Book.RETURNED, cents=100
            )
            payments.move(unit, payment, "reversed", postings=[moved], facts={"refund": one.id})
    post(each_books, "won", move(Book.RETURNED, Book.CASE, 100))
    post(each_books, "asked", move(Book.CASE, Book.TO_RETURN, 100))
    post(each_books, "failed", move(Book.TO_RETURN, Book.CASE, 100))
    post(each_books, "voucher", move(Book.CASE, Book.OUTSIDE, 40))
    post(each_books, "by_hand", move(Book.CASE, Book.BY_HAND, 60), facts={"reference": "Beleg 7"})
    post(each_books, "captured", move(Book.PROVIDER, Book.CASE, 700, "CHF"))
    assert len(rows_of(each_books)) == 4
    each_books.world.pass_time(days=1)
    rows = rows_of(each_books, YESTERDAY + DAY, YESTERDAY + DAY)
    assert [
        (row["type"], row["gross"], row["refund"], row["moved"], row["currency"], row["reference"])
        for row in rows
    ] == [
        ("refund", "", "1,00", "", "EUR", "re_1"),
        ("chargeback", "", "1,00", "", "EUR", "dp_1"),
        ("money_back", "1,00", "", "", "EUR", ""),
        ("refund_outside", "", "0,40", "", "EUR", ""),
        ("by_hand", "", "", "0,60", "EUR", "Beleg 7"),
        ("payment", "7,00", "", "", "CHF", ""),
    ]
    assert rows[0]["state"] == "settled+by_hand+refunded+refunded_outside"
    assert rows[-1]["state"] == "case"
    assert set(made(each_books, YESTERDAY + DAY, YESTERDAY + DAY).totals) == {
        ("2026-11-22", "EUR", "test"),
        ("2026-11-22", "CHF", "test"),
    }


def test_a_line_that_is_settled_after_its_day_was_exported_is_told_by_a_row(town):
    town.desk.providers["stripe"] = PaysOut(town.desk.providers["stripe"])
    town.paid = town.started(only=1)
    town.stripe.pay(town.session_of(town.paid), "card")
    koha = town.world.remotes.pop(KOHA)
    town.house.make_due(town.paid)
    town.run()
    town.world.pass_time(days=1)
    [paid] = rows_of(town)
    assert (paid["type"], paid["state"], paid["gross"]) == ("payment", "to_settle", "4,50")
    town.world.remotes[KOHA] = koha
    town.run()
    town.world.pass_time(days=1)
    [settled] = rows_of(town, YESTERDAY + DAY, YESTERDAY + DAY)
    assert (settled["type"], settled["state"], settled["moved"], settled["gross"]) == (
        "settled",
        "settled",
        "4,50",
        "",
    )


def payout(books, ref="po_1", arrival=YESTERDAY, gap=0, entries=None):
    session = books.session_of(books.paid)
    entries = entries or (
        PayoutEntry(ref="txn_1", kind="payment", cents=1250, fee=44, money_ref=session),
        PayoutEntry(ref="txn_2", kind="refund", cents=-200, fee=0, money_ref="pi_foreign"),
        PayoutEntry(ref="txn_3", kind="fee", cents=-10, fee=0),
        PayoutEntry(ref="txn_4", kind="other", cents=7, fee=0),
    )
    cents = sum(entry.cents - entry.fee for entry in entries) + gap
    return Payout(ref=ref, cents=cents, currency="EUR", arrival=arrival, entries=entries)


def remote(rows):
    return [
        (row["type"], row["fee"], row["payout"], row["receipt_number"], row["reference"])
        for row in rows
        if not row["gross"]
    ]


def test_payouts_and_what_the_provider_kept_are_rows_of_their_own(each_books):
    each_books.provider.listed = [payout(each_books)]
    number = each_books.view(each_books.paid).number
    found = made(each_books)
    assert remote(rules.read(found.kept.content)) == [
        ("paid_out", "", "", number, "txn_1"),
        ("fee", "0,44", "", number, "txn_1"),
        ("paid_out", "", "", "", "txn_2"),
        ("fee", "0,10", "", "", "txn_3"),
        ("provider_other", "-0,07", "", "", "txn_4"),
        ("payout", "", "10,03", "", "po_1"),
    ]
    assert found.totals["2026-11-21", "EUR", "test"] == {
        "payment.gross": 1250,
        "paid_out.moved": 1050,
        "fee.fee": 54,
        "provider_other.fee": -7,
        "payout.payout": 1003,
    }
    assert len({row["id"] for row in rules.read(found.kept.content)}) == found.rows
    each_books.world.pass_time(days=2)
    assert remote(rows_of(each_books, YESTERDAY + DAY, YESTERDAY + DAY)) == []


def test_a_credit_on_the_bank_account_is_added_up_from_the_file_alone(each_books):
    """Days after the payments were exported; each entry names the receipt that its amount belongs to."""
    payments_file = rules.read(made(each_books).kept.content)
    arrival = YESTERDAY + DAY
    each_books.provider.listed = [payout(each_books, arrival=arrival), payout(each_books, "po_2", arrival)]
    each_books.world.pass_time(days=2)
    rows = [row for row in rows_of(each_books, arrival, arrival) if row["payout_id"] == "po_1"]

    def added(column, of=rows):
        return sum(rules.cents_of(row[column], "EUR") for row in of if row[column])

    assert added("payout") == added("moved") - added("fee") == 1003
    number = each_books.view(each_books.paid).number
    assert [(row["type"], row["receipt_number"], row["moved"]) for row in rows if row["moved"]] == [
        ("paid_out", number, "12,50"),
        ("paid_out", "", "-2,00"),
    ]
    paid = [row for row in payments_file if row["receipt_number"] == number]
    assert added("gross", paid) == 1250


def test_what_the_provider_kept_and_what_reached_the_bank_have_the_accounts_of_the_configuration(books):
    own = Export(fee_cost_centre="9100", fee_account="552000", payout_account="179000")
    desk = replace(books.desk, settings=books.desk.settings.model_copy(update={"export": own}))
    books.provider.listed = [payout(books)]
    rows = rules.read(export(books.house, desk, TREASURER, YESTERDAY, YESTERDAY).kept.content)
    booked = {row["type"]: (row["cost_centre"], row["account"]) for row in rows if not row["gross"]}
    assert booked == {
        "paid_out": ("", "179000"),
        "fee": ("9100", "552000"),
        "provider_other": ("", ""),
        "payout": ("", "179000"),
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gap": 1}, "bank credit differs from the sum of its entries by 0.01 EUR"),
        ({"gap": -200}, "by -2.00 EUR"),
        (
            {"entries": "wrong"},
            "it has 12.00 for ILSP-",
        ),
    ],
)
def test_a_payout_that_does_not_add_up_is_told_and_nothing_is_exported(books, changes, says):
    if changes.get("entries"):
        session = books.session_of(books.paid)
        changes = {"entries": (PayoutEntry(ref="t", kind="payment", cents=1200, fee=0, money_ref=session),)}
    books.provider.listed = [payout(books, **changes)]
    with pytest.raises(BooksDifferError, match=says) as differs:
        made(books)
    assert len(differs.value.differences) == 1
    assert nothing_kept(books)
    found = made(books, with_payouts=False)
    assert found.rows == 4
    assert "left out on demand" in found.notes[0]
    books.provider.listed = [payout(books)]
    books.world.pass_time(days=1)
    later = rows_of(books, YESTERDAY + DAY, YESTERDAY + DAY)
    assert [(row["type"], row["late"], row["day"]) for row in later][-1] == ("payout", "late", "2026-11-21")


def test_payouts_of_days_that_nobody_asked_for_stay_out(books):
    books.provider.listed = [
        payout(books, "po_before", YESTERDAY - DAY),
        payout(books, "po_after", YESTERDAY + DAY),
    ]
    assert remote(rows_of(books)) == []


QUARTERS = {
    1: (date(2027, 1, 1), date(2027, 3, 31)),
    2: (date(2027, 4, 1), date(2027, 6, 30)),
    3: (date(2027, 7, 1), date(2027, 9, 30)),
    4: (date(2027, 10, 1), date(2027, 12, 31)),
}


@pytest.fixture
def quarters(each_books):
    """The provider lists what arrived in the time that it is asked for; export a quarter of 2027."""
    paid_out: dict[str, Payout] = {}
    each_books.provider.payouts = lambda since, until: [
        one for one in paid_out.values() if since.date() <= one.arrival <= until.date()
    ]
    each_books.world.pass_time(days=500)

    def quarter(number, **options):
        rows = rows_of(each_books, *QUARTERS[number], **options)
        return [(row["payout_id"], row["late"]) for row in rows if row["payout_id"]]

    def arrived(ref, day):
        paid_out[ref] = Payout(ref=ref, cents=0, currency="EUR", arrival=day, entries=())

    return quarter, arrived


def test_payouts_that_were_left_out_of_exports_come_with_the_next_one_that_asks(quarters):
    quarter, arrived = quarters
    arrived("po_1", date(2027, 1, 20))
    arrived("po_2", date(2027, 4, 20))
    arrived("po_3", date(2027, 9, 30))
    assert quarter(1, with_payouts=False) == []
    assert quarter(2, with_payouts=False) == []
    assert quarter(3) == [("po_1", "late"), ("po_2", "late"), ("po_3", "")]
    assert quarter(3) == [("po_1", "late"), ("po_2", "late"), ("po_3", "")]
    assert quarter(4) == []


def test_payouts_that_were_left_out_are_asked_for_until_an_export_has_asked_for_their_days(quarters):
    quarter, arrived = quarters
    assert quarter(2, with_payouts=False) == []
    arrived("po_2", date(2027, 4, 20))
    assert quarter(1) == [], "its days end before those that were left out"
    assert quarter(4) == [("po_2", "late")]


def test_payouts_that_are_listed_after_an_export_of_a_quarter_come_with_the_next(quarters):
    quarter, arrived = quarters
    assert quarter(1) == []
    arrived("po_1", date(2027, 1, 2))
    assert quarter(2) == [("po_1", "late")]
    arrived("po_0", date(2027, 1, 3))
    assert quarter(3) == []


def test_a_provider_that_cannot_list_payouts_is_told_in_the_summary(books):
    books.desk.providers["stripe"] = Silent(books.provider)
    assert made(books).notes[0] == "stripe cannot list payouts: no rows of payouts and fees"


class Silent:
    def __init__(self, provider):
        self.provider = provider

    def capabilities(self):
        return replace(self.provider.capabilities(), payouts=False)


def test_a_provider_that_is_away_leaves_nothing_half_exported(books):
    def away():
        raise RemoteUnavailableError("It does not answer.")

    books.provider.on_asked = away
    with pytest.raises(RemoteUnavailableError):
        made(books)
    assert nothing_kept(books)


def test_of_two_exports_at_the_same_time_one_wins(each_books):
    inner = []

    def meanwhile():
        each_books.provider.on_asked = None
        inner.append(made(each_books, YESTERDAY - DAY, YESTERDAY))

    each_books.provider.on_asked = meanwhile
    with pytest.raises(ExportRefusedError, match="Export 1 has the days 2026-11-20 to 2026-11-21"):
        made(each_books)
    assert inner[0].rows == 4
    with each_books.house.store.read() as unit:
        assert len(unit.connection.execute(select(exports)).all()) == 1


def test_the_same_export_twice_at_the_same_time_is_one(books):
    inner = []

    def meanwhile():
        books.provider.on_asked = None
        inner.append(made(books))

    books.provider.on_asked = meanwhile
    outer = made(books)
    assert outer.repeated
    assert outer.kept.content == inner[0].kept.content


def test_a_kept_file_that_was_changed_is_not_handed_out(each_books):
    made(each_books)
    with each_books.house.store.unit() as unit:
        if each_books.house.store.is_sqlite:
            unit.connection.execute(text("DROP TRIGGER exports_no_update"))
        else:
            unit.connection.execute(text("ALTER TABLE exports DISABLE TRIGGER USER"))
        unit.connection.execute(text("UPDATE exports SET content = 'x'"))
    with pytest.raises(BooksDifferError, match="export 1 is not as it was made"):
        made(each_books)


def test_a_database_that_is_full_keeps_no_half_export(books, monkeypatch):
    with books.house.store.read() as unit:
        pages = unit.connection.execute(text("PRAGMA page_count")).scalar()
    # The limit belongs to a connection, so every one gets it; empty lines make the file large.
    engine = books.house.store.engine
    event.listen(engine, "connect", lambda one, _: one.execute(f"PRAGMA max_page_count = {pages}"))
    engine.dispose()
    write = rules.write
    with monkeypatch.context() as large:
        large.setattr(rules, "write", lambda rows: write(rows) + "\r\n" * 500_000)
        with pytest.raises(StoreBusyError, match="full"):
            made(books)
    assert nothing_kept(books)


@pytest.mark.parametrize("wrong", ["4,49", "45,00"])
def test_a_file_whose_sums_are_not_the_ledgers_would_be_told(wrong):
    row = rules.Row(id="x-1", type="payment", day="2026-11-21", gross=450, currency="EUR")
    moves = [rules.Move(YESTERDAY, "EUR", "live", Book.PROVIDER, Book.TO_SETTLE, 450)]
    content = rules.write([row])
    assert rules.differences(rules.totals(content), rules.ledger_totals(moves)) == []
    [told] = rules.differences(rules.totals(content.replace("4,50", wrong)), rules.ledger_totals(moves))
    assert told == f"2026-11-21 live payment: the file says {wrong.replace(',', '.')}, the ledger 4.50 EUR"
    [missing] = rules.differences({}, rules.ledger_totals(moves))
    assert "the file says 0.00" in missing


def test_a_text_that_begins_like_a_formula_is_not_one():
    row = rules.Row(id="x", type="payment", day="2026-11-21", cost_centre="=1+1", currency="EUR", gross=1)
    assert rules.read(rules.write([row]))[0]["cost_centre"] == "'=1+1"


def test_days_are_exported_after_a_thousand_exports_of_a_day(each_books):
    town = each_books
    content = rules.write([])
    with town.house.store.unit() as unit:
        for number in range(1, 1002):
            keep_day(unit, number, YESTERDAY - timedelta(days=1002 - number), content)
    fees = len(rows_of(town, with_payouts=False))
    assert fees == 4


def test_another_time_zone_makes_no_finding_and_no_day_of_two_zones(town):
    def in_zone(name):
        settings = town.desk.settings.model_copy(update={"time_zone": name})
        town.desk = replace(town.desk, settings=settings)
        town.house.libraries[town.desk.key] = town.desk

    in_zone("UTC")
    now = town.world.now()
    town.world.pass_time(minutes=(23 * 60 + 20 - now.hour * 60 - now.minute) % 1440)
    pay_one(town)
    day = town.desk.day_of(town.world.now())
    town.world.pass_time(days=3)
    export(town.house, town.desk, TREASURER, day, day, with_payouts=False)
    in_zone("Europe/Berlin")
    assert verify(town.house).findings == []
    after = day + timedelta(days=1)
    with pytest.raises(ExportRefusedError, match="count days in UTC"):
        export(town.house, town.desk, TREASURER, after, after, with_payouts=False)
    in_zone("UTC")
    assert export(town.house, town.desk, TREASURER, after, after, with_payouts=False).rows == 0


def test_exports_and_comparisons_of_before_that_do_not_tell_zone_and_span_are_no_finding(books):
    """What an earlier version wrote into the journal lacks these facts."""
    append = journal.append

    def as_before(unit, actor, what, facts, library=None):
        known = {
            name: fact
            for name, fact in facts.items()
            if name not in {"time_zone", "covered", "payouts_since"}
        }
        return append(unit, actor, what, known, library)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "append", as_before)
        made(books)
        reconcile(books.house, books.desk, begin(books.house, books.desk, 3), books.world.now(), TREASURER)
    assert verify(books.house).findings == []
    assert begin(books.house, books.desk, 3) < books.world.now() - timedelta(days=3)
    books.world.pass_time(days=1)
    assert made(books, YESTERDAY + DAY, YESTERDAY + DAY).rows == 0
