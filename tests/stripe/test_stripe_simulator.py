"""Sessions and money at the simulated Stripe, driven by the real SDK over real HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest
import stripe
from ils_payment_stripe.simulator import NotPayableError

# --- making and reading sessions -----------------------------------------------------------------


def test_a_session_is_made_paid_and_read_with_its_charge(url, simulator, client, wish):
    stripe_client = client(url)
    made = stripe_client.v1.checkout.sessions.create(wish(locale="de"), {"idempotency_key": "a"})
    assert (made.status, made.payment_status, made.payment_intent) == ("open", "unpaid", None)
    assert (made.amount_total, made.currency, made.livemode) == (1250, "eur", False)
    assert made.url == f"{url}/c/pay/{made.id}"
    assert made.id.startswith("cs_test_")
    simulator.pay(made.id)
    read = stripe_client.v1.checkout.sessions.retrieve(
        made.id, {"expand": ["payment_intent.latest_charge.refunds", "line_items"]}
    )
    assert (read.status, read.payment_status, read.url) == ("complete", "paid", None)
    assert read.payment_intent.amount_received == 1250
    assert read.payment_intent.latest_charge.refunds.data == []
    assert [line.description for line in read.line_items.data] == ["Mahngebühr"]
    assert simulator.truth()["captured"] == {"eur": 1250}


def test_a_sessions_metadata_is_not_copied_to_its_intent(sessions, simulator, wish):
    made = sessions.create(wish(payment_intent_data={"metadata": {"only": "here"}}))
    simulator.pay(made.id)
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert read.metadata.to_dict() == {"payment": "pay_1"}
    assert read.payment_intent.metadata.to_dict() == {"only": "here"}


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types", "parameter_unknown"),
        ({"shoe_size": "44"}, "shoe_size", "parameter_unknown"),
        ({"adaptive_pricing": {"enabeld": True}}, "adaptive_pricing[enabeld]", "parameter_unknown"),
        ({"adaptive_pricing": {"enabled": "perhaps"}}, "adaptive_pricing[enabled]", None),
        ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
        ({"mode": None}, "mode", "parameter_missing"),
        ({"mode": "gift"}, "mode", None),
        ({"locale": "swabian"}, "locale", None),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"success_url": "pay.example/back"}, "success_url", "url_invalid"),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price_data]", "parameter_missing"),
        (
            {"line_items": [{"price_data": {"currency": "eur", "unit_amount": "12.50"}, "quantity": 1}]},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        ({"metadata": {"x" * 41: "long"}}, "metadata", None),
        ({"client_reference_id": ""}, "client_reference_id", "parameter_invalid_empty"),
        ({"allowed_payment_method_types": ["wero"]}, "allowed_payment_method_types[0]", None),
        (
            {"allowed_payment_method_types": ["card"], "excluded_payment_method_types": ["klarna"]},
            "excluded_payment_method_types",
            None,
        ),
    ],
)
def test_what_the_sdks_own_types_or_the_rules_do_not_allow_is_refused(
    sessions, simulator, changes, param, code, wish, refused
):
    error = refused(sessions.create, wish(**changes))
    assert isinstance(error, stripe.InvalidRequestError)
    assert (error.http_status, error.param, error.code) == (400, param, code)
    assert simulator.truth()["sessions"] == {}


@pytest.mark.parametrize(("cents", "code"), [(49, "amount_too_small"), (100_000_000, "amount_too_large")])
def test_sums_beyond_stripes_limits_are_refused(sessions, cents, code, wish, refused):
    request = wish()
    request["line_items"][0]["price_data"]["unit_amount"] = cents
    assert refused(sessions.create, request).code == code


@pytest.mark.parametrize(("life", "fits"), [(1799, False), (1800, True), (86_400, True), (86_401, False)])
def test_a_session_lives_between_thirty_minutes_and_a_day(sessions, clock, life, fits, wish, refused):
    request = wish(expires_at=int(clock.now().timestamp()) + life)
    if fits:
        assert sessions.create(request).expires_at == request["expires_at"]
    else:
        assert refused(sessions.create, request).param == "expires_at"


def test_methods_that_the_account_lacks_are_dropped_without_a_word(sessions, simulator, wish, refused):
    simulator.account.enabled_methods = ("card", "pay_by_bank")
    made = sessions.create(wish(allowed_payment_method_types=["card", "klarna"]))
    assert made.payment_method_types == ["card"]
    assert sessions.create(wish()).payment_method_types == ["card", "pay_by_bank"]
    assert refused(sessions.create, wish(allowed_payment_method_types=["klarna"])).http_status == 400


def test_a_method_is_dropped_that_the_currency_does_not_have(sessions, wish):
    request = wish()
    request["line_items"][0]["price_data"]["currency"] = "chf"
    assert sessions.create(request).payment_method_types == ["card"]


def test_a_preview_method_is_taken_from_an_account_that_has_it(sessions, simulator, wish):
    simulator.account.preview_methods = ("wero",)
    simulator.account.enabled_methods = ("card", "wero")
    made = sessions.create(wish(allowed_payment_method_types=["wero"]))
    assert made.payment_method_types == ["wero"]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("STADTBIBLIOTHEK", True),
        ("BIB", False),
        ("X" * 22, True),
        ("X" * 23, False),
        ("12345", False),
        ("BIB*HERRENBERG", False),
        ("BIB 'HBG'", False),
    ],
)
def test_statement_descriptors_follow_the_card_networks(sessions, text, fits, wish, refused):
    request = wish(
        payment_intent_data={"statement_descriptor": text}, allowed_payment_method_types=["pay_by_bank"]
    )
    if fits:
        assert sessions.create(request).status == "open"
    else:
        error = refused(sessions.create, request)
        assert error.param == "payment_intent_data[statement_descriptor]"


def test_a_whole_descriptor_is_refused_for_cards_unless_the_account_allows_it(
    sessions, simulator, wish, refused
):
    request = wish(payment_intent_data={"statement_descriptor": "STADTBIBLIOTHEK"})
    assert refused(sessions.create, request).http_status == 400
    simulator.account.card_descriptor_allowed = True
    simulator.pay(sessions.create(request).id)
    (charge,) = simulator.truth()["charges"].values()
    assert charge["calculated_statement_descriptor"] == "STADTBIBLIOTHEK"


def test_lists_are_newest_first_in_pages_and_by_time(sessions, clock, wish):
    made: list[str] = []
    for _ in range(5):
        made.insert(0, sessions.create(wish()).id)
        clock.instant += timedelta(seconds=10)
    first = sessions.list({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (made[:2], True)
    assert [one.id for one in first.auto_paging_iter()] == made
    since = int(clock.now().timestamp()) - 25
    recent = sessions.list({"created": {"gte": since, "lt": since + 1000}, "status": "open"})
    assert [one.id for one in recent.data] == made[:2]


def test_what_does_not_exist_is_not_found(url, sessions, client, wish, refused):
    assert refused(sessions.retrieve, "cs_test_nowhere").code == "resource_missing"
    error = refused(client(url).v1.customers.list)
    assert error.http_status == 404
    made = sessions.create(wish())
    assert refused(sessions.retrieve, made.id, {"expand": ["customer.shoes"]}).http_status == 400


# --- the ends of a session -----------------------------------------------------------------------


def test_an_open_session_can_be_expired_and_a_complete_one_not(sessions, simulator, wish, refused):
    first, second = sessions.create(wish()), sessions.create(wish())
    ended = sessions.expire(first.id)
    assert (ended.status, ended.url) == ("expired", None)
    simulator.pay(second.id)
    assert refused(sessions.expire, second.id).http_status == 400
    with pytest.raises(NotPayableError, match="expired"):
        simulator.pay(first.id)


def test_sessions_expire_by_the_worlds_clock_at_any_request(sessions, simulator, clock, wish):
    made = sessions.create(wish(expires_at=int(clock.now().timestamp()) + 1860))
    clock.instant += timedelta(seconds=1859)
    assert sessions.retrieve(made.id).status == "open"
    clock.instant += timedelta(seconds=1)
    assert sessions.retrieve(made.id).status == "expired"
    assert simulator.truth()["events"][-1]["type"] == "checkout.session.expired"


def test_a_declined_try_leaves_the_session_open(sessions, simulator, wish):
    made = sessions.create(wish())
    simulator.decline(made.id)
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert (read.status, read.payment_intent.status) == ("open", "requires_payment_method")
    assert read.payment_intent.last_payment_error.code == "card_declined"
    simulator.pay(made.id)
    assert len(simulator.truth()["payment_intents"]) == 1


@pytest.mark.parametrize("success", [True, False])
def test_a_pending_payment_is_complete_and_unpaid_until_the_bank_decides(sessions, simulator, success, wish):
    made = sessions.create(wish())
    simulator.pay_pending(made.id, "pay_by_bank")
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert (read.status, read.payment_status, read.payment_intent.status) == (
        "complete",
        "unpaid",
        "processing",
    )
    (simulator.succeed_pending if success else simulator.fail_pending)(made.id)
    read = sessions.retrieve(made.id)
    assert (read.status, read.payment_status) == ("complete", "paid" if success else "unpaid")
    word = "succeeded" if success else "failed"
    assert simulator.truth()["events"][-1]["type"] == f"checkout.session.async_payment_{word}"
    with pytest.raises(NotPayableError):
        simulator.succeed_pending(made.id)


@pytest.mark.parametrize("status", ["complete", "expired"])
def test_money_can_arrive_after_the_session_has_expired(sessions, simulator, status, wish):
    made = sessions.create(wish())
    sessions.expire(made.id)
    simulator.pay_after_expiry(made.id, status=status)
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert (read.status, read.payment_status) == (status, "paid")
    assert read.payment_intent.amount_received == 1250


def test_another_amount_and_another_currency_show_in_session_and_intent(sessions, simulator, wish):
    short, foreign = sessions.create(wish()), sessions.create(wish(adaptive_pricing={"enabled": False}))
    simulator.pay_other_amount(short.id, 1000)
    assert sessions.retrieve(short.id, {"expand": ["payment_intent"]}).payment_intent.amount_received == 1000
    with pytest.raises(NotPayableError, match="adaptive"):
        simulator.pay_other_currency(foreign.id, "chf", 1200)
    simulator.pay_other_currency(foreign.id, "chf", 1200, forced=True)
    assert sessions.retrieve(foreign.id).currency == "chf"
    assert simulator.truth()["captured"] == {"eur": 1000, "chf": 1200}


def test_adaptive_pricing_keeps_the_sessions_own_sum_and_names_the_payers(sessions, simulator, wish):
    made = sessions.create(wish())
    simulator.pay_other_currency(made.id, "chf", 1180)
    read = sessions.retrieve(made.id)
    assert (read.amount_total, read.currency) == (1250, "eur")
    assert read.presentment_details.to_dict() == {"presentment_amount": 1180, "presentment_currency": "chf"}


# --- money back ----------------------------------------------------------------------------------


def test_refunds_take_at_most_what_is_left(url, sessions, simulator, client, wish, refused):
    refunds = client(url).v1.refunds
    made = sessions.create(wish())
    assert refused(refunds.create, {"payment_intent": "pi_nowhere"}).http_status == 404
    simulator.pay(made.id)
    intent = sessions.retrieve(made.id).payment_intent
    assert refused(refunds.create, {"payment_intent": intent, "amount": 1251}).param == "amount"
    part = refunds.create({"payment_intent": intent, "amount": 250, "reason": "requested_by_customer"})
    assert (part.status, part.amount) == ("succeeded", 250)
    simulator.refund_in_dashboard(made.id)
    assert refused(refunds.create, {"payment_intent": intent}).code == "charge_already_refunded"
    with pytest.raises(NotPayableError, match="0 are left"):
        simulator.refund_in_dashboard(made.id, 1)
    assert [one.amount for one in refunds.list({"payment_intent": intent}).data] == [1000, 250]
    charge = sessions.retrieve(
        made.id, {"expand": ["payment_intent.latest_charge"]}
    ).payment_intent.latest_charge
    assert (charge.amount_refunded, charge.refunded) == (1250, True)
    assert simulator.truth()["refunded"] == {"eur": 1250}


def test_a_bank_refund_is_pending_and_may_fail(url, sessions, simulator, client, wish):
    made = sessions.create(wish())
    simulator.pay(made.id, "pay_by_bank")
    refund_id = simulator.refund_in_dashboard(made.id, 500)
    refunds = client(url).v1.refunds
    assert refunds.retrieve(refund_id).status == "pending"
    simulator.finish_refund(refund_id, success=False)
    assert refunds.retrieve(refund_id).status == "failed"
    assert simulator.truth()["refunded"] == {"eur": 0}


def test_a_dispute_marks_the_charge_and_is_listed(url, sessions, simulator, client, wish, refused):
    made = sessions.create(wish())
    simulator.pay(made.id)
    dispute_id = simulator.dispute(made.id)
    intent = sessions.retrieve(made.id, {"expand": ["payment_intent.latest_charge"]}).payment_intent
    assert intent.latest_charge.disputed
    listed = client(url).v1.disputes.list({"charge": intent.latest_charge.id})
    assert [(one.id, one.amount) for one in listed.data] == [(dispute_id, 1250)]
    assert refused(client(url).v1.refunds.create, {"payment_intent": intent.id}).code == "charge_disputed"
