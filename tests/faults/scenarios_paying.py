"""Scenarios between payer, bank and provider: how money comes, late, wrong, twice or not at all."""

from __future__ import annotations

from tests.conftest import STRIPE
from tests.faults.failpoints_stage import Stage
from tests.faults.scenarios import scenario

BANK = "instant_bank_transfer"


@scenario("settled", money=True)
def card(s: Stage) -> None:
    """The patron pays by card at once."""
    s.begin()
    s.pay()
    s.hear()


@scenario("settled", proof=False)
def first_card_ever(s: Stage) -> None:
    """The first payment of an installation: no marker was confirmed before."""
    s.begin()
    s.pay()
    s.hear()


@scenario("settled")
def several_lines(s: Stage) -> None:
    """A patron pays four fees in one payment."""
    s.begin("erika")
    s.pay()
    s.hear()


@scenario("settled", money=True)
def bank_pays_later(s: Stage) -> None:
    """The bank decides hours later, and pays."""
    s.begin(method=BANK)
    s.each_open(s.stripe.pay_pending)
    s.hear()
    s.later(hours=3)
    s.bank(pays=True)
    s.hear()


@scenario("void")
def bank_refuses_later(s: Stage) -> None:
    """The bank decides a day later, and does not pay."""
    s.begin(method=BANK)
    s.each_open(s.stripe.pay_pending)
    s.later(minutes=5)
    s.later(days=1)
    s.bank(pays=False)
    s.hear()


@scenario("void")
def cancelled(s: Stage) -> None:
    """The patron comes back and cancels."""
    s.begin()
    s.cancel()


@scenario("settled")
def cancelled_after_paying(s: Stage) -> None:
    """The patron pays in one tab and cancels in another."""
    s.begin()
    s.pay()
    s.cancel()
    s.hear()


@scenario("settled")
def paid_while_cancelling(s: Stage) -> None:
    """The payer pays in the very moment in which the session is to be closed."""
    s.begin()
    s.at("pay.before_close", s.pay)
    s.cancel()
    s.hear()


@scenario("void", "settled")
def cancelled_and_begun_again(s: Stage) -> None:
    """The patron cancels, changes the mind, and pays."""
    s.begin()
    s.cancel()
    s.begin()
    s.pay()
    s.hear()


@scenario("void")
def expired(s: Stage) -> None:
    """The patron never comes back; the session ends by itself."""
    s.begin()
    s.later(minutes=3)
    s.later(minutes=40)


@scenario("settled", money=True)
def late_money(s: Stage) -> None:
    """Money comes for a session that had expired and was given up."""
    s.begin(method=BANK)
    s.later(minutes=40)
    _pay_what_expired(s)
    s.hear()


@scenario("paid held", "settled")
def late_money_for_a_fee_paid_again(s: Stage) -> None:
    """Money comes for an expired session after the patron has paid the same fee in another one."""
    s.begin(method=BANK)
    s.later(minutes=40)
    s.begin()
    s.pay()
    s.hear()
    _pay_what_expired(s)
    s.hear()


@scenario("paid held", "settled")
def late_money_while_paying_again(s: Stage) -> None:
    """Money comes for an expired session while another payment holds the fee."""
    s.begin(method=BANK)
    s.later(minutes=40)
    s.begin()
    _pay_what_expired(s)
    s.hear()
    s.pay()
    s.hear()


def _pay_what_expired(s: Stage) -> None:
    for key, one in list(s.stripe.book.sessions.items()):
        if one["status"] == "expired" and one["payment_method_types"] == ["pay_by_bank"]:
            s.stripe.pay_after_expiry(key)


@scenario("paid held", money=True)
def wrong_amount(s: Stage) -> None:
    """The provider takes another amount than it was asked for."""
    s.begin()
    s.each_open(s.stripe.pay_other_amount, 777)
    s.hear()


@scenario("paid held")
def wrong_currency(s: Stage) -> None:
    """The provider takes the amount in another currency."""
    s.begin()
    s.each_open(s.stripe.pay_other_currency, "chf", 150, forced=True)
    s.hear()


@scenario("settled")
def declined_then_paid(s: Stage) -> None:
    """The first card is declined; the second one works in the same session."""
    s.begin()
    s.each_open(s.stripe.decline)
    s.hear()
    s.pay()
    s.hear()


@scenario("settled")
def start_answer_lost(s: Stage) -> None:
    """The provider opens the session, and its answer is lost; the session is looked up and paid."""
    s.stripe.faults.lose_answer(1)
    s.begin()
    s.later(seconds=25)
    s.pay()
    s.hear()


@scenario("settled")
def start_paid_although_lost(s: Stage) -> None:
    """The answer to the start is lost, and the payer pays before the session is looked up."""
    s.stripe.faults.lose_answer(1)
    s.begin()
    s.pay()
    s.later(seconds=25)


@scenario("void")
def start_request_lost(s: Stage) -> None:
    """The provider never hears of the start, and cannot be reached for a while."""
    s.stripe.faults.lose_request(3)
    s.begin()
    s.later(seconds=25)
    s.later(minutes=3)
    s.later(minutes=40)


@scenario("void")
def start_refused(s: Stage) -> None:
    """The provider refuses to open a session."""
    s.stripe.faults.fail_next(1, status=400)
    s.begin()
    s.hear()


@scenario("void")
def start_failed(s: Stage) -> None:
    """The provider answers the start with an error of its own and keeps it under the key."""
    s.stripe.faults.fail_next(1, status=500)
    s.begin()
    s.later(seconds=25)
    s.later(minutes=3)


@scenario("settled")
def start_failed_after_the_effect(s: Stage) -> None:
    """The provider opens the session and says 503; the payer finds it all the same."""
    s.stripe.faults.fail_next(1, status=503, after_effect=True)
    s.begin()
    s.later(seconds=25)
    s.pay()
    s.hear()


@scenario("settled", money=True)
def provider_away_after_paying(s: Stage) -> None:
    """The provider is away for hours when the notice of a payment has come in."""
    s.begin()
    s.pay()
    s.leave(STRIPE)
    s.hear()
    s.later(hours=2)
    s.come_back()
    s.later(hours=1)


@scenario("void")
def provider_away_from_the_beginning(s: Stage) -> None:
    """The provider refuses connections for an hour."""
    s.leave(STRIPE)
    s.begin()
    s.later(minutes=10)
    s.later(minutes=50)
    s.come_back()
    s.later(hours=2)


@scenario("settled")
def webhooks_repeated_and_reordered(s: Stage) -> None:
    """Each notice comes three times, the newest first."""
    s.stripe.webhooks.duplicate, s.stripe.webhooks.reorder = 2, True
    s.begin(method=BANK)
    s.each_open(s.stripe.pay_pending)
    s.bank(pays=True)
    s.hear()
    s.hear()


@scenario("settled")
def webhook_days_late(s: Stage) -> None:
    """The notice comes two days late; the regular look was faster."""
    s.stripe.webhooks.delay_seconds = 2 * 86_400
    s.begin()
    s.pay()
    s.later(minutes=3)
    s.later(days=2)


@scenario("settled")
def webhook_never(s: Stage) -> None:
    """No notice comes; the regular look finds the money."""
    s.stripe.webhooks.drop = True
    s.begin()
    s.pay()
    s.later(minutes=3)


@scenario("settled")
def webhook_answered_with_an_error(s: Stage) -> None:
    """The intake fails once, so that the provider sends the notice again."""
    s.begin()
    s.pay()
    for parcel in s.stripe.due_deliveries():
        s.stripe.answered(parcel, 503)
    s.later(seconds=130)


@scenario("settled")
def two_tabs(s: Stage) -> None:
    """A second tab confirms the same fee while the first one freezes it, and again afterwards."""
    s.at("hands.taken", s.begin)
    s.begin()
    s.begin()
    s.pay()
    s.hear()


@scenario("settled", "settled")
def two_payments_of_one_patron(s: Stage) -> None:
    """A patron pays two fees in two payments, both before anything is settled."""
    s.begin("erika", only=1)
    s.begin("erika", only=1)
    s.pay()
    s.hear()
    s.later(minutes=2)


@scenario("settled", "settled")
def two_patrons(s: Stage) -> None:
    """Two patrons pay at the same time."""
    s.begin("erika")
    s.begin("jan")
    s.pay()
    s.hear()
