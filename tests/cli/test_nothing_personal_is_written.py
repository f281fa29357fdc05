"""A real process in front of talkative remotes: nothing of a patron and no secret in anything it writes.

The remotes answer with errors that repeat everything they know, the mail server repeats addresses, strangers
send canaries in addresses and webhooks. Then all that the process wrote is searched for every canary:
standard output, log lines, metrics, health, what the provider was sent, and what the commands print.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
import structlog
from aiosmtpd.controller import Controller
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_stripe.simulator import StripeSimulator
from prometheus_client.parser import text_string_to_metric_families

from ils_payment.cli import logs
from ils_payment.cli.walk import Browser, JourneyError, confirm_everything, pay_by_card
from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import Reply
from ils_payment.testing.simulator import serve
from ils_payment.world import World
from tests.free_port import free_port
from tests.web.doors import signed

PATIENCE = 60.0
PERSON = {
    "surname": "Canarysurname",
    "firstname": "Canaryfirst",
    "email": "canary-patron@mail.example",
    "card": "CANARYCARD4711",
    "pin": "CanaryPin-77",
    "wrong pin": "CanaryWrong-99",
    "title": "Canarytitle der Weltgeschichte",
    "receipt address": "canary-receipt@mail.example",
    "typed into an address": "canarytyped",
}
SECRETS = {
    "CANARY_KOHA": "canary-koha-secret",
    "CANARY_KEY": "sk_test_canarykey",
    "CANARY_HOOK": "whsec_canaryhook",
    "CANARY_OPAC": "canary-opac-secret-of-at-least-32-characters",
    "CANARY_METRICS": "canary-metrics-token",
    "CANARY_MAIL": "canary-mail-password",
}
CANARIES = {**PERSON, **SECRETS}

CONFIG = """\
[server]
public_url = "http://127.0.0.1:{port}"
port = {port}
database = "sqlite:///{folder}/ledger.db"
log_format = "{form}"
metrics_token = {{ env = "CANARY_METRICS" }}

[mail]
host = "127.0.0.1"
port = {mail}
security = "none"
sender = "pay@library.example"

[libraries.town]
name = "Town Library"
staff_email = "staff@library.example"
test_cards = ["CANARYCARD4711"]

[libraries.town.arrival]
keys = [{{ kid = "opac-1", secret = {{ env = "CANARY_OPAC" }} }}]

[libraries.town.receipt]
authority = "Town of Example"
address = ["Library Street 1", "12345 Example"]
tax_note = {{ en = "No VAT is charged." }}

[libraries.town.library_system]
plugin = "koha"
url = "{koha}/api/v1"
client_id = "ils-payment"
client_secret = {{ env = "CANARY_KOHA" }}
library_id = "ZENTRALE"

[libraries.town.providers.stripe]
api_key = {{ env = "CANARY_KEY" }}
webhook_secrets = [{{ env = "CANARY_HOOK" }}]
statement_descriptor = "TOWN LIBRARY"
api_base = "{stripe}"

[libraries.town.elending.onleihe]
mode = "answer"
fee_limit = "20.00"
allowed_networks = ["127.0.0.1"]

[[libraries.town.methods]]
method = "card"
provider = "stripe"
"""


class Gossip:
    """A remote that remembers what it was sent, and, while it is ``broken``, tells everything it knows."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.sent = []
        self.broken: list[int] = []

    def handle(self, request):
        # The secret in a header is what the remote knows us by; everything else is searched.
        self.sent.append(f"{request.method} {request.path}?{request.query} {request.body!r}")
        if self.broken and "oauth" not in request.path:
            gossip = {**CANARIES, "error": f"Patron {' '.join(CANARIES.values())} is a problem"}
            headers = (("content-type", "application/json"),)
            return Reply(status=self.broken.pop(0), body=json.dumps(gossip).encode(), headers=headers)
        return self.simulator.handle(request)

    def truth(self):
        return self.simulator.truth()


class TalkativeMail:
    async def handle_RCPT(self, _server, _session, _envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        return f"550 no such user {address} {' '.join(PERSON.values())}"


class Scene:
    """The process and its remotes, and what happened to everything that was written."""

    def __init__(self, folder: Path, form: str, stack: ExitStack) -> None:
        self.folder = folder
        self.koha = KohaSimulator.demo(client_secret=SECRETS["CANARY_KOHA"])
        self.patron = self.koha.add_patron(
            PERSON["card"],
            PERSON["pin"],
            surname=PERSON["surname"],
            firstname=PERSON["firstname"],
            email=PERSON["email"],
            category_id="ERW",
            library_id="ZENTRALE",
            charge=False,
        )
        self.charge()
        self.stripe = StripeSimulator.demo(
            api_key=SECRETS["CANARY_KEY"], webhook_secret=SECRETS["CANARY_HOOK"]
        )
        self.library, self.provider = Gossip(self.koha), Gossip(self.stripe)
        port, mail = free_port(), free_port()
        post = Controller(TalkativeMail(), hostname="127.0.0.1", port=mail)
        post.start()
        stack.callback(post.stop)
        addresses = {
            "koha": stack.enter_context(serve(self.library)),
            "stripe": stack.enter_context(serve(self.provider)),
        }
        self.config = folder / "config.toml"
        text = CONFIG.format(port=port, mail=mail, folder=folder, form=form, **addresses)
        self.config.write_text(text, encoding="utf-8")
        self.address = f"http://127.0.0.1:{port}"
        self.stripe.webhook_url = f"{self.address}/webhooks/town/stripe"
        self.written: dict[str, str] = {}
        self.command("db", "upgrade")

    def charge(self):
        self.koha.add_fee(self.patron, 450, "MANUAL", PERSON["title"], library_id="ZENTRALE")

    def command(self, *arguments):
        """Run a command to its end and keep what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "ils_payment.cli.main", "--config", str(self.config), *arguments],
            env={**os.environ, **SECRETS},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.written[" ".join(arguments)] = done.stdout + done.stderr
        return done.stdout

    def browser(self):
        return Browser(World().session(deadline=30, max_bytes=5 * 1024 * 1024))


def until(true, what):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def healthy(address):
    try:
        return requests.get(f"{address}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def visit(scene):
    """Sign in wrongly and rightly, pay, and ask for a receipt that cannot be mailed."""
    start = f"{scene.address}/town/"
    browser = scene.browser()
    page = browser.open(start)
    form = {"card": PERSON["card"], "pin": PERSON["wrong pin"]}
    answer = requests.post(
        f"{scene.address}/town/login",
        data={**dict(page.form_with("pin").fields), **form},
        cookies=browser._session.cookies,
        timeout=30,
    )
    assert answer.status_code != 200
    confirmed = confirm_everything(browser, start, PERSON["card"], PERSON["pin"])
    paid = pay_by_card(browser, confirmed.page)
    found = re.search(r"/payments/(\w+)", paid.url)
    assert found, paid.url
    payment = found[1]
    address = f"{scene.address}/town/payments/{payment}"
    until(lambda: browser.open(address).state == "settled", "it settles")
    page = browser.open(f"{scene.address}/town/payments/{payment}/receipt")
    browser.submit(page, page.form_with("email"), {"email": PERSON["receipt address"]}, [])


def arrive(scene, number):
    """Come in as the OPAC sends patrons; return the browser and the page with the fees."""
    now = int(time.time())
    claims = {
        "iss": "opac",
        "aud": f"{scene.address}/town",
        "iat": now,
        "exp": now + 60,
        "jti": f"{PERSON['typed into an address']}-{number}",
        "sub": str(scene.patron),
    }
    browser = scene.browser()
    token = signed(claims, secret=SECRETS["CANARY_OPAC"])
    return browser, browser.open(f"{scene.address}/town/arrive?token={token}")


def break_everything(scene):
    """Let remotes fail with personal data in their answers, at each step a patron gets to."""
    for number, status in enumerate((500, 400)):
        scene.charge()
        browser, page = arrive(scene, number)
        scene.library.broken = [status] * 4
        with pytest.raises(JourneyError):
            browser.open(f"{scene.address}/town/fees")
        scene.library.broken = []
        form = page.form_with("fee")
        boxes = [choice for choice in form.choices if choice[0] == "fee"]
        page = browser.submit(page, form, {}, [*boxes, ("method", "card")])
        scene.provider.broken = [status] * 4
        with pytest.raises(JourneyError):
            browser.submit(page, page.form_with("expected"), {}, [])
        scene.provider.broken = []


def onleihe(scene, *pins):
    """Let the Onleihe ask about the patron; return the HTTP codes."""
    address = f"{scene.address}/elending/town/onleihe"
    return [
        requests.post(address, data={"sno": PERSON["card"], "pwd": pin}, timeout=60).status_code
        for pin in pins
    ]


def strangers(scene):
    """Send canaries where they do not belong: addresses, methods, webhooks, tokens."""
    typed = quote(" ".join(PERSON.values()))
    ask = requests.Session()
    for method, path in [
        ("GET", f"/town/fees?card={typed}"),
        ("GET", f"/{typed}/fees"),
        ("GET", f"/town/payments/{typed}"),
        ("DELETE", f"/town/fees?pin={typed}"),
        ("POST", f"/webhooks/town/{typed}"),
        ("GET", f"/elending/town/onleihe?sno={typed}&pwd={typed}"),
        ("POST", f"/elending/town/{typed}"),
        ("POST", f"/webhooks/town/stripe?{typed}"),
        ("GET", f"/town/arrive?token={typed}"),
        ("GET", f"/api/v1/libraries/town/{typed}"),
        ("GET", f"/metrics?{typed}"),
    ]:
        ask.request(method, scene.address + path, data=json.dumps(CANARIES), timeout=30)
    now = int(time.time())
    for _ in range(2):
        with pytest.raises(JourneyError):
            arrive(scene, 0)  # This token was used up before.
    ask.post(
        f"{scene.address}/webhooks/town/stripe",
        data=json.dumps(CANARIES),
        headers={"stripe-signature": f"t={now},v1={PERSON['card']}"},
        timeout=30,
    )
    with socket.create_connection(("127.0.0.1", int(scene.address.rsplit(":", 1)[1]))) as bare:
        bare.sendall(" ".join(PERSON.values()).encode() + b"\r\n\r\n")
        bare.recv(100)


def commands(scene):
    for words in (
        ("check",),
        # `payments show` is left out: showing the fee's text to the operator is what it is for.
        ("payments", "list"),
        ("cases", "list"),
        ("reconcile",),
    ):
        scene.command(*words)


@pytest.mark.timeout(400)
def test_no_canary_is_in_anything_that_a_real_process_writes(tmp_path):
    with ExitStack() as stack:
        scene = Scene(tmp_path, "text", stack)
        output = tmp_path / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "ils_payment.cli.main", "--config", str(scene.config), "serve"],
                env={**os.environ, **SECRETS},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        until(lambda: healthy(scene.address), "it starts")
        scene.stripe.start_sender()
        stack.callback(scene.stripe.stop_sender)
        visit(scene)
        assert onleihe(scene, PERSON["pin"], PERSON["wrong pin"]) == [200, 200]
        break_everything(scene)
        strangers(scene)
        commands(scene)
        until(lambda: "mail_not_sent" in output.read_text(encoding="utf-8"), "the mail fails")
        token = {"authorization": f"Bearer {SECRETS['CANARY_METRICS']}"}
        metrics = requests.get(f"{scene.address}/metrics", headers=token, timeout=30).text
        health = requests.get(f"{scene.address}/health", timeout=30).text
        process.terminate()
        process.wait(timeout=PATIENCE)
    written = {
        **scene.written,
        "the process": output.read_text(encoding="utf-8"),
        "/metrics": metrics,
        "/health": health,
        "requests to the provider": "\n".join(scene.provider.sent),
    }
    log = written["the process"]
    assert process.returncode == 0
    # All that must have happened did leave its traces: the search below has something to search.
    for event in ("sign_in_refused", "signed_in", "mail_not_sent", "webhook_forged"):
        assert event in log, event
    assert calls(metrics, "koha", {"ok", "refused"}) == {"ok", "refused"}
    assert calls(metrics, "koha", {"unavailable", "denied", "garbled", "absent"})
    assert calls(metrics, "stripe", {"unavailable", "denied", "garbled", "unclear", "refused"})
    assert len(scene.provider.sent) > 3
    found = [
        f"{what} ({value}) in {where}: {line.strip()[:300]}"
        for where, text in written.items()
        for what, value in CANARIES.items()
        for line in text.splitlines()
        if value.casefold() in line.casefold() or quote(value).casefold() in line.casefold()
    ]
    assert found == []


def calls(metrics, remote, outcomes):
    """Which of *outcomes* calls to *remote* had."""
    return {
        sample.labels["outcome"]
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "ils_payment_remote_calls_total" and sample.labels["remote"] == remote
    } & outcomes


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_is_told_by_place_and_class_and_by_text_only_if_it_is_ours(capsys, form):
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def stumble(card):
        raise KeyError(f"{card} is unknown")

    def fail():
        try:
            stumble(PERSON["card"])
        except KeyError as error:
            raise RemoteUnavailableError("Koha does not answer.") from error

    try:
        logs.configure(form, logging.INFO)
        for log in (structlog.get_logger(), logging.getLogger("stranger")):
            try:
                fail()
            except RemoteUnavailableError:
                log.exception("it_failed")
    finally:
        structlog.reset_defaults()
        root.handlers, root.level = handlers, level
    err = capsys.readouterr().err
    assert PERSON["card"] not in err
    assert err.count("builtins.KeyError (text left out)") == 2
    assert err.count("RemoteUnavailableError: Koha does not answer.") == 2
    assert err.count("in stumble") == 2
