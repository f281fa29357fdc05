"""A program that is configured with Adyen alone, as a process: it takes notices, and never imports Stripe."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import requests
from ils_payment_adyen.simulator import KEY
from starlette.testclient import TestClient

from ils_payment.cli.demo_stage import LIBRARY
from ils_payment.cli.demo_start import staged
from ils_payment.cli.walk import Browser, confirm_everything, pay_by_card
from ils_payment.errors import PluginError
from ils_payment.flows import links
from ils_payment.flows.desk import Desk
from ils_payment.flows.desk_checks import check_desk
from ils_payment.model import State
from ils_payment.web.app import create_app
from tests.adyen.conftest import ADYEN
from tests.free_port import free_port

CONFIG = """\
[server]
public_url = "http://127.0.0.1:{port}"
port = {port}
database = "sqlite:///{folder}/ledger.db"
[libraries.town]
name = "Town"
[libraries.town.library_system]
{library_system}
[libraries.town.providers.adyen]
api_key = {{ env = "SECRET_KEY" }}
merchant_account = "TownECOM"
hmac_keys = [{{ env = "SECRET_HMAC" }}]
statement = "TOWN LIBRARY"
[[libraries.town.methods]]
method = "card"
provider = "adyen"
"""

KOHA = """\
plugin = "koha"
url = "https://koha.example/api/v1"
client_id = "x"
client_secret = { env = "SECRET_KOHA" }
"""

SISIS = """\
plugin = "sisis"
ncip.url = "https://opac.example/ncip2slnp"
[libraries.town.library_system.writes]
host = "sip2.example"
port = 6001
security = "tunnel"
preset = "generic"
user = "kasse"
password = { env = "SECRET_KOHA" }
patron_key = { env = "SECRET_PATRON" }
"""

PATIENCE = 60.0


def _healthy(port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("it does not answer")


@pytest.mark.parametrize("library_system", [KOHA, SISIS], ids=["koha", "sisis"])
def test_serve_with_adyen_alone_never_imports_stripe(tmp_path, monkeypatch, library_system):
    secrets = {"SECRET_KOHA": "x", "SECRET_KEY": "AQE", "SECRET_HMAC": KEY, "SECRET_PATRON": "p" * 32}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    path, port, told = tmp_path / "config.toml", free_port(), tmp_path / "told"
    path.write_text(
        CONFIG.format(folder=tmp_path, port=port, library_system=library_system), encoding="utf-8"
    )
    # Python itself says on stderr what it imports, whoever asks for it and whenever.
    program = [sys.executable, "-X", "importtime", "-m", "ils_payment.cli.main", "--config", str(path)]
    subprocess.run([*program, "db", "upgrade"], capture_output=True, check=True)
    with told.open("w") as err, subprocess.Popen([*program, "serve"], stderr=err) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            assert _healthy(port) == 200
            assert requests.post(f"{address}/webhooks/town/adyen", data=b"{}", timeout=10).status_code == 401
            assert requests.get(f"{address}/town/", timeout=10).status_code == 200
            process.terminate()
            assert process.wait(timeout=PATIENCE) == 0
        finally:
            process.kill()
    lines = [line for line in told.read_text().splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert {"Adyen", "ils_payment_adyen.provider", "uvicorn"} <= imported
    assert not [name for name in imported if name.split(".")[0] in {"stripe", "ils_payment_stripe", "zeep"}]


def test_the_demo_walks_the_journey_with_adyen():
    ran = subprocess.run(
        [sys.executable, "-m", "ils_payment.cli.main", "demo", "--auto", "--provider", "adyen"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    [line] = ran.stdout.splitlines()
    told = json.loads(line)
    assert (told["state"], told["amount"]) == ("settled", 1250)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with staged(tmp_path_factory.mktemp("adyen"), 0, provider=("adyen", 0)) as running:
        yield running


def test_forged_notices_are_refused_over_http_and_authentic_ones_of_strangers_are_not(stage):
    address = f"{stage.address}/webhooks/{LIBRARY}/adyen"
    outbox = stage.provider.outbox
    outbox.url = ""  # This test posts by itself.
    stranger = {"amount": {"value": 1, "currency": "EUR"}, "reference": "another shop's"}
    stage.provider.stop_sender()
    stage.provider.book._tell("AUTHORISATION", "PSPSTRANGER", stranger)
    stage.provider.book._tell("REPORT_AVAILABLE", "report:1.csv", stranger)
    parcels = stage.provider.due_deliveries()
    for parcel in parcels:
        good = requests.post(address, data=parcel.body, headers=parcel.headers, timeout=10)
        assert good.status_code == 200
    forged = parcels[0].body.replace(b'"value": 1', b'"value": 2')
    assert forged != parcels[0].body
    assert requests.post(address, data=forged, headers=parcels[0].headers, timeout=10).status_code == 401


def test_a_browser_is_only_led_to_adyens_own_page_and_the_policy_says_so(stage):
    session = stage.house.world.session(deadline=30, max_bytes=1_000_000)
    browser = Browser(session)
    chosen = confirm_everything(
        browser, f"{stage.address}/{LIBRARY}/", stage.system.demo_card, stage.system.demo_pin
    )
    [origin] = stage.house.libraries[LIBRARY].providers["adyen"].capabilities().redirect_origins
    assert chosen.page.url.startswith(f"{origin}/pay/PL")
    policy = requests.get(f"{stage.address}/{LIBRARY}/", timeout=10).headers["content-security-policy"]
    assert origin in policy.partition("form-action")[2].partition(";")[0]
    page = pay_by_card(browser, chosen.page)
    assert page.state


# --- the way back of a session ---------------------------------------------------------------------


def _return(town, payment_id, **params):
    with TestClient(create_app(town.house), base_url="https://pay.lindental.example") as client:
        url = links.return_url(town.house, "lindental", payment_id, town.world.now())
        return client.get(url, params={"t": url.partition("?t=")[2], **params}, follow_redirects=False)


def test_the_return_page_reads_a_session_with_what_adyen_added(town_with):
    town = town_with(checkout="sessions")
    town.adyen.habits.drop = True
    payment_id = town.started()
    ref = town.session_of(payment_id)
    town.adyen.book.pay(ref)
    result = town.adyen.book.pages[ref]["result"]
    assert _return(town, payment_id, sessionId=ref, sessionResult=result).status_code == 200
    assert town.view(payment_id).state is State.PAID


@pytest.mark.parametrize(
    "params",
    [
        {"sessionResult": "guessed"},
        {"sessionResult": "x" * 5000},
        {f"p{number}": "x" for number in range(20)},
        {"sessionResult": "../../paymentLinks"},
    ],
    ids=lambda params: str(params)[:40],
)
def test_whatever_a_stranger_adds_to_the_way_back_proves_nothing(town_with, params):
    town = town_with(checkout="sessions")
    payment_id = town.started()
    assert _return(town, payment_id, **params).status_code == 200
    assert town.view(payment_id).state is State.OPEN


def test_the_result_of_another_payment_proves_nothing(town_with):
    town = town_with(checkout="sessions")
    town.adyen.habits.drop = True
    payment_id = town.started(only=1)
    other = town.started(only=1)
    ref = town.session_of(other)
    town.adyen.book.pay(ref)
    result = town.adyen.book.pages[ref]["result"]
    for more in ({}, {"sessionId": ref}):
        assert _return(town, payment_id, sessionResult=result, **more).status_code == 200
        assert town.view(payment_id).state is State.OPEN


def test_the_way_back_of_a_session_carries_its_result_through_the_simulated_page(town_with):
    town = town_with(checkout="sessions")
    payment_id = town.started()
    ref = town.session_of(payment_id)
    session = town.house.world.session(deadline=10, max_bytes=100_000)
    page = session.get(f"http://{ADYEN}/pay/{ref}")
    assert "12,50 €" in page.text
    answer = session.post(
        f"http://{ADYEN}/pay/{ref}", data={"action": "pay", "method": "scheme"}, allow_redirects=False
    )
    target = answer.headers["location"]
    assert target.startswith("https://pay.lindental.example/lindental/payments/")
    assert "sessionResult=X3Xtf%2B" in target
    again = session.post(f"http://{ADYEN}/pay/{ref}", data={"action": "pay"}, allow_redirects=False)
    assert again.headers["location"] == f"/pay/{ref}"


def test_a_desk_with_a_provider_that_proves_nothing_is_still_refused(town_with):
    town = town_with(checkout="sessions")
    provider = town.desk.providers["adyen"]
    assert isinstance(town.desk, Desk)
    for less in ({"notices_decide": False}, {"notices": False}):
        provider.capabilities = lambda less=less: replace(
            type(provider._plugin).capabilities(provider._plugin), **less
        )
        with pytest.raises(PluginError, match="prove nothing"):
            check_desk(town.desk)
