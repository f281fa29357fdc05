"""What has to be true of every payment after a scenario and a drain without faults."""

from __future__ import annotations

from ils_payment.domain.states import ENDED
from ils_payment.model import State
from tests.conftest import Town
from tests.faults.failpoints_cards import hold_card_rules
from tests.flows.truths import all_claims_are_of_running_payments, ending, every_id, load, marked


def hold_rules(town: Town) -> dict[str, str]:
    """Hold every payment of *town* to the rules; return the state of each by its id."""
    held_patrons = {one.patron_id for key in every_id(town) if (one := load(town, key)).held}
    ended = {}
    for payment_id in every_id(town):
        payment, end = load(town, payment_id), ending(town, payment_id)
        books = end["books"]
        ended[payment_id] = f"{end['state']} held" if end["held"] else str(end["state"])
        # Each captured cent is in exactly one place, and nothing is there that was not captured.
        assert end["captured"] == -books.get("provider", 0), (payment_id, end)
        # What went back to the payer went back once, and the ledger says so.
        gone, booked = min(returned(town, payment_id), end["captured"]), books.get("returned", 0)
        # What left while its cents were reserved for a refund that waits for approval is posted after that;
        # what the treasury had paid out before is not there to be posted, and a case tells of it.
        elsewhere = books.get("to_return", 0) + books.get("outside", 0)
        assert booked == gone or booked < gone <= booked + elsewhere, (payment_id, end)
        # One credit at most carries a payment's marker; a settled one has just one, all of it used
        # (the fees have one, a renewed card another).
        card = hold_card_rules(town, payment, end)
        written = marked(town, payment_id)
        assert len({one["marker"] for one in written}) == len(written) <= 1 + (card is not None)
        if end["state"] == "settled" and "marker_missing" not in end["cases"]:
            cents = [payment.cents - card.cents, card.cents] if card else [payment.cents]
            wanted = sorted((one, 0) for one in cents if one)
            assert sorted(end["credits"]) == wanted, (payment_id, end)
            # All of it was used for just the fees that were frozen, and so for nobody else's payment.
            own = {line.fee_ref for line in payment.lines} | ({card.debit} if card else set())
            assert all(set(credit["applied"]) <= own for credit in written), (payment_id, written)
        elif end["credits"] and end["state"] != "resolved":
            assert end["held"], (payment_id, end)
        if end["held"]:
            # A case may be closed while its refund waits for a second person: that list tells of it.
            assert end["cases"] or end["books"].get("to_return"), (payment_id, end)
            assert books.get("to_settle", 0) == 0, (payment_id, end)
        elif payment.state not in ENDED:
            # Whatever is still on its way waits for a person's decision about another payment of the patron.
            assert payment.state in {State.PAID, State.SETTLING}, (payment_id, end)
            assert payment.patron_id in held_patrons, (payment_id, end)
        else:
            assert books.get("to_settle", 0) == 0, (payment_id, end)
    assert all_claims_are_of_running_payments(town)
    _staff_was_told(town)
    town.house.store.check()
    return ended


def returned(town: Town, payment_id: str) -> int:
    """The cents of a payment that left again at the provider, by refunds and chargebacks."""
    truth = town.stripe.truth()
    intents = {
        one["payment_intent"]
        for one in truth["sessions"].values()
        if one["metadata"]["payment"] == payment_id
    }
    charges = {key for key, one in truth["charges"].items() if one["payment_intent"] in intents}
    gone = [one for one in truth["refunds"].values() if one["status"] not in {"failed", "canceled"}]
    gone += [one for one in truth["disputes"].values() if one["status"] != "won"]
    return sum(one["amount"] for one in gone if one["charge"] in charges)


def _staff_was_told(town: Town) -> None:
    """A case that nobody hears of is none; whoever has closed one has heard of it."""
    numbers = {load(town, key).receipt_number for key in every_id(town) if ending(town, key)["cases"]}
    told = "\n".join(subject + body for _, subject, body in town.world.mails)
    untold = {number for number in numbers if number not in told}
    assert not untold, ("staff was not told", untold)
