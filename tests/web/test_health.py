"""Health and metrics: who may read them, and that nothing personal is in them."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from ils_payment.model import State
from ils_payment.web.app import create_app


def test_health_tells_that_the_process_lives_and_the_database_can_be_read(each_doors):
    answer = each_doors.browser().get("/health", headers={"host": "127.0.0.1:8480"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "paused": False})


def test_a_paused_program_is_well_and_says_that_it_is_paused(doors):
    doors.house.pause(paused=True)
    answer = doors.browser().get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "paused": True})
    assert "ils_payment_paused 1.0" in doors.browser("127.0.0.1").get("/metrics").text


def test_a_database_of_another_version_is_no_health(each_doors):
    with each_doors.house.store.unit() as unit:
        unit.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    answer = each_doors.browser().get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "database of another version"})


def test_a_process_without_its_database_lives_and_is_not_ready(doors):
    with doors.house.store.unit() as unit:
        unit.connection.execute(text("DROP TABLE alembic_version"))
    assert doors.browser().get("/health/live").json() == {"status": "ok"}
    assert doors.browser().get("/health").status_code == 503


def test_a_database_that_cannot_be_read_is_no_health(doors):
    with doors.house.store.unit() as unit:
        unit.connection.execute(text("DROP TABLE installation"))
    answer = doors.browser().get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "database unreadable"})


def test_metrics_of_a_database_that_cannot_be_read_say_so_and_what_the_process_counted(doors):
    doors.house.watch.seen("lindental", "koha", "account", "ok", 0.2)
    with doors.house.store.unit() as unit:
        unit.connection.execute(text("DROP TABLE credit_tries"))
        unit.connection.execute(text("ALTER TABLE payments RENAME TO gone"))
    answer = doors.browser("127.0.0.1").get("/metrics")
    assert answer.status_code == 200
    assert "ils_payment_database_up 0.0" in answer.text
    assert "ils_payment_database_errors_total 1.0" in answer.text
    assert "ils_payment_payments{" not in answer.text
    counted = (
        'ils_payment_remote_calls_total{call="account",library="lindental",outcome="ok",remote="koha"} 1.0'
    )
    assert counted in answer.text


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("203.0.113.7", {}, 403),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.7"}, 403),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 403),
        ("127.0.0.1", {"forwarded": "for=203.0.113.7"}, 403),
        ("127.0.0.1", {"via": "1.1 proxy"}, 403),
        ("203.0.113.7", {"x-forwarded-for": "127.0.0.1"}, 403),
        ("203.0.113.7", {"authorization": "Bearer "}, 403),
    ],
)
def test_metrics_are_for_this_host(lasting_doors, address, headers, status):
    assert lasting_doors.browser(address).get("/metrics", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer good-token", 200),
        ("Bearer bad-token", 403),
        ("good-token", 403),
        ("", 403),
        ("Bearer \xe4", 403),
    ],
)
def test_metrics_are_for_whoever_has_the_token(doors, given, status):
    settings = doors.house.settings
    server = settings.server.model_copy(update={"metrics_token": SecretStr("good-token")})
    doors.house.settings = settings.model_copy(update={"server": server})
    doors.app = create_app(doors.house)
    headers = {"authorization": given.encode("latin-1"), "x-forwarded-for": "203.0.113.7"}
    assert doors.browser().get("/metrics", headers=headers).status_code == status
    assert doors.browser("127.0.0.1").get("/metrics").status_code == 200


def test_metrics_tell_payments_by_state_and_how_long_the_oldest_waits(each_doors):
    town = each_doors.town
    payment = town.started()
    town.stripe.pay(town.session_of(payment))
    town.world.remotes.pop("koha.test")
    town.deliver_webhooks()
    town.run()
    assert town.view(payment).state in {State.PAID, State.SETTLING, State.UNKNOWN}
    town.world.pass_time(minutes=30)
    body = each_doors.browser("127.0.0.1").get("/metrics").text
    state = town.view(payment).state.value
    assert f'ils_payment_payments{{library="lindental",state="{state}"}} 1.0' in body
    (oldest,) = [
        float(line.split()[-1])
        for line in body.splitlines()
        if line.startswith('ils_payment_oldest_unsettled_seconds{library="lindental"}')
    ]
    assert 1800 <= oldest < 1860
    assert 'ils_payment_oldest_unsettled_seconds{library="seehausen"} 0.0' in body
    assert 'ils_payment_payments_held{library="lindental"}' in body
    assert "ils_payment_notice_queue 0.0" in body


def test_nothing_personal_is_in_them(doors):
    browser = doors.arrived()
    doors.town.started()
    body = doors.browser("127.0.0.1").get("/metrics").text + browser.get("/health").text
    for canary in ("Mustermann", "21234000012345", "Sommer am Wehr"):
        assert canary not in body
