"""An outsider's check of the books: three reports in, disagreements out. Shares no code with the program.

``python recheck.py PROVIDER KOHA LEDGER [EXPORT ...]`` reads three JSON lists (or CSV files with the same
columns), and the export files that the treasury has got (docs/books.md has their columns):

* provider: ``reference, captured, returned`` (cents) for each payment that took money;
* koha: ``credit, debit, patron, note, cents, unused, fees, fee_amounts`` for each credit, and for each
  debit that carries a marker (``credit`` is empty then, and ``unused`` is what is still owed);
* ledger: ``payment, receipt_number, marker, line, source, destination, cents, currency, at, open_case,
  decided, exported, card_marker, card_cents`` for each posting; several markers of one payment are joined
  by ``+``. ``decided``: a person has closed a case of the payment, so a credit may be booked by hand.
  ``card_marker``, ``card_cents``: the debit for the card that is renewed with the payment, if one is.

It derives anew: every captured cent is in exactly one place (I1); a marker has one credit at most, and
exactly one where the ledger says settled (I2); credits and ledger have the same sum (I3); no fee got more
than its amount from us, and no credit of ours is left unused without a case (I4); a renewed card that was
settled has one debit, of what was paid for it and paid itself, and one that was not has none (C4). Exit
code 1 on a disagreement.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import defaultdict
from pathlib import Path


def recheck(provider, koha, ledger, export=None):
    """Return the disagreements of the reports, as sentences; none: they agree.

    *export* holds the rows of all export files together, cell by cell.
    """
    held = {row["payment"] for row in ledger if _truth(row["open_case"])}
    debits = [row for row in koha if not row["credit"]]
    koha = [row for row in koha if row["credit"]]
    balances = _balances(ledger)
    found = _captured(provider, balances)
    found += _credits(koha, ledger, balances, held)
    found += _fees(koha, ledger, held)
    found += _cards(debits, ledger, held)
    if export is not None:
        found += _exported(provider, koha, ledger, export)
    return found


def _exported(provider, koha, ledger, export):
    """I1 to I4 out of the treasury's own file, by the receipt numbers that it has.

    The file has closed days only: what it says came in and went back is at most what the provider says,
    and all of it where every posting of the payment lies in a closed day (``exported`` of the ledger).
    """
    found = []
    sums: dict = defaultdict(lambda: defaultdict(int))
    state_of: dict = defaultdict(set)
    markers: dict = defaultdict(set)
    for row in export:
        if row["type"] in _OF_PAYMENTS:
            number = row["receipt_number"]
            for column in ("gross", "refund", "moved"):
                sums[number][row["type"]] += _cents(row[column])
            if row["type"] in {"payment", "settled"}:
                state_of[number] |= set(row["state"].split("+"))
                markers[number] |= {row["marker"]} - {""}
    ids = [row["id"] for row in export]
    if len(set(ids)) != len(ids):
        found.append("I13 the export has the same line twice")
    payment_of = {row["receipt_number"]: row["payment"] for row in ledger}
    # A payment in another currency is written with that currency; its cents are compared all the same.
    whole = _whole(ledger)
    took = {row["reference"]: row for row in provider}
    credited = {row["note"]: row for row in koha}
    for number, of in sorted(sums.items()):
        payment = payment_of.get(number)
        captured = int(took.get(payment, {}).get("captured", 0))
        if of["payment"] > captured or (payment in whole and of["payment"] != captured):
            found.append(f"I1 export {number}: {of['payment']} came in, the provider took {captured}")
        net = of["refund"] + of["chargeback"] - of["money_back"]
        returned = int(took.get(payment, {}).get("returned", 0))
        if payment in whole and net > returned:
            found.append(f"I1 export {number}: {net} went back, the provider says {returned}")
        if state_of[number] == {"settled"} and not any(one in credited for one in markers[number]):
            found.append(f"I2 export {number}: settled, and no credit has {sorted(markers[number])}")
        found += _export_credits(number, markers[number], credited, captured)
    return found


def _export_credits(number, markers, credited, captured):
    """I3 and I4: no credit that the file names is more than came in."""
    there = [credited[one] for one in sorted(markers) if one in credited]
    return [
        f"I3 export {number}: {one['note']} credits {one['cents']}, {captured} came in"
        for one in there
        if int(one["cents"]) > captured
    ]


_OF_PAYMENTS = {"payment", "refund", "chargeback", "money_back", "refund_outside", "by_hand", "settled"}


def _whole(ledger):
    """Return the payments all of whose postings were exported."""
    parts: dict = defaultdict(set)
    for row in ledger:
        parts[row["payment"]].add(_truth(row["exported"]))
    return {payment for payment, seen in parts.items() if seen == {True}}


def _cents(cell):
    whole, _, part = str(cell).partition(",")
    sign = -1 if whole.startswith("-") else 1
    return sign * (abs(int(whole or 0)) * 100 + int((part + "00")[:2]))


def _balances(ledger):
    sums: dict = defaultdict(lambda: defaultdict(int))
    for row in ledger:
        sums[row["payment"]][row["source"]] -= int(row["cents"])
        sums[row["payment"]][row["destination"]] += int(row["cents"])
    return sums


def _captured(provider, balances):
    """I1: what the provider took stands in the ledger once, and in one place."""
    found = []
    took: dict = defaultdict(int)
    for row in provider:
        took[row["reference"]] += int(row["captured"])
    for payment in sorted(set(took) | set(balances)):
        books = balances[payment]
        if took[payment] != -books["provider"]:
            found.append(f"I1 {payment}: {took[payment]} captured, {-books['provider']} in the ledger")
        lying = sum(cents for name, cents in books.items() if name != "provider")
        if lying != took[payment]:
            found.append(f"I1 {payment}: {took[payment]} captured, {lying} are somewhere")
    return found


def _credits(koha, ledger, balances, held):
    """I2 and I3: credits with our markers, against what the ledger says was settled."""
    found = []
    payment_of = _markers(ledger)
    booked: dict = defaultdict(int)
    for row in ledger:
        if (row["source"], row["destination"]) == ("to_settle", "library_system"):
            booked[row["payment"]] += int(row["cents"])
    decided = {row["payment"] for row in ledger if _truth(row["decided"])}
    there: dict = defaultdict(list)
    markers: dict = defaultdict(set)
    for marker, payment in payment_of.items():
        markers[payment].add(marker)
    for row in koha:
        if str(row["note"]).startswith("ILSP-"):
            payment = payment_of.get(row["note"], "")
            there[payment].append((row["note"], int(row["cents"])))
            markers[payment].add(row["note"])
    for payment in sorted(set(markers) - held):
        by_hand = balances[payment]["by_hand"] if payment in decided else 0
        if payment in decided and not booked[payment]:
            # Whoever closed the case of an unfit credit knew that its money had left, or was to leave.
            by_hand += sum(balances[payment][account] for account in ("to_return", "returned", "outside"))
        wrong = _differs(there[payment], booked[payment], by_hand, decided=payment in decided)
        if wrong:
            found.append(f"{wrong[0]} {', '.join(sorted(markers[payment]))}: {wrong[1]}")
    return found


def _differs(written, settled, by_hand, *, decided):
    """Return the rule that a payment's credits break, and how; a person may have booked one by hand."""
    credited = [cents for _, cents in written]
    once = len({marker for marker, _ in written}) == len(written)
    if decided:
        if sum(credited) < settled or (len(credited) == 1 and sum(credited) > settled + by_hand):
            return "I3", f"{credited} credited, {settled} settled, {by_hand} by hand"
    elif not once or bool(credited) != bool(settled):
        return "I2", f"{len(credited)} credits, {settled} cents settled"
    elif sum(credited) != settled:
        return "I3", f"{sum(credited)} cents credited, {settled} settled"
    return None


def _fees(koha, ledger, held):
    """I4: what our credits gave to each fee, against the fee's amount and the lines we were paid for."""
    found = []
    ours = _markers(ledger)
    decided = {row["payment"] for row in ledger if _truth(row["decided"])}
    lines: dict = defaultdict(set)
    for row in ledger:
        lines[row["payment"]].add(str(row["line"]))
    given: dict = defaultdict(int)
    amounts: dict = {}
    for row in koha:
        payment = ours.get(row["note"])
        if payment is None or payment in held or payment in decided:
            continue
        if int(row["unused"]):
            found.append(f"I4 {row['note']}: {row['unused']} cents are left unused")
        fees = _mapping(row["fees"])
        for fee, cents in fees.items():
            given[fee] += int(cents)
            amounts[fee] = int(_mapping(row["fee_amounts"])[fee])
            if int(cents) and fee not in lines[payment]:
                found.append(f"I4 {row['note']}: paid fee {fee}, which was not ordered")
    found += [
        f"I4 fee {fee}: {cents} given, it was {amounts[fee]}"
        for fee, cents in given.items()
        if cents > amounts[fee]
    ]
    return found


def _cards(debits, ledger, held):
    """C4: the debit for each card that was renewed with a payment, where no person had to decide."""
    found = []
    decided = {row["payment"] for row in ledger if _truth(row["decided"])}
    settled = {row["payment"] for row in ledger if row["destination"] == "library_system"}
    there: dict = defaultdict(list)
    for row in debits:
        there[row["note"]].append((int(row["cents"]), int(row["unused"])))
    cards = {
        row["payment"]: (row["card_marker"], int(row["card_cents"])) for row in ledger if row["card_marker"]
    }
    for payment, (marker, cents) in sorted(cards.items()):
        wanted = [(cents, 0)] if payment in settled else []
        if len(there[marker]) > 1 or (payment not in held | decided and there[marker] != wanted):
            found.append(f"C4 {marker}: debits {there[marker]}, not {wanted}")
    return found


def _markers(ledger):
    return {one: row["payment"] for row in ledger for one in str(row["marker"] or "").split("+") if one}


def _truth(value):
    return value in {1, "1", "True", "true"}


def _mapping(value):
    return json.loads(value) if isinstance(value, str) else value


def _read(path):
    text = Path(path).read_text(encoding="utf-8")
    return json.loads(text) if path.endswith(".json") else list(csv.DictReader(text.splitlines()))


def read_export(text):
    """Return the rows of an export file: semicolons, a byte order mark, CRLF."""
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=";"))


def main(paths):
    """Read the reports and print what does not fit."""
    exports = [row for path in paths[3:] for row in read_export(Path(path).read_bytes().decode())]
    provider, koha, ledger = (_read(path) for path in paths[:3])
    found = recheck(provider, koha, ledger, exports if paths[3:] else None)
    for sentence in found:
        sys.stdout.write(f"{sentence}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
