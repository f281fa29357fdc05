"""The kits on systems that are reached over a real network, as a test installation is: served simulators."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from ils_payment_koha.simulator import KohaSimulator
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.testing.simulator import serve


def run_kit(tmp_path, table, which, **environment):
    # A choice of them: each test opens the system anew, which takes its time.
    path = tmp_path / "table.toml"
    path.write_text(table, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "ils_payment.testing.kit",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--contracts-json", "-rs", "-k", which, "--pyargs", "ils_payment.testing.live"],
        cwd=tmp_path,
        env={**os.environ, "ILS_PAYMENT_LIVE_TABLE": str(path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(done.stdout.splitlines()[-1])["passed"]["live"]


def test_a_library_system_is_proved_as_far_as_it_can_be_asked(tmp_path):
    koha = KohaSimulator.demo()
    with serve(koha) as address:
        table = (
            f'url = "{address}/api/v1"\nclient_id = "ils-payment"\nclient_secret = {{ env = "LIVE_KOHA" }}\n'
        )
        said, passed = run_kit(
            tmp_path,
            table,
            "check or is_allowed or reference or declares or pin or who_owes",
            LIVE_KOHA="demo-secret",
            ILS_PAYMENT_LIVE_LIBRARY_SYSTEM="koha",
            ILS_PAYMENT_LIVE_CARD=KohaSimulator.demo_card,
            ILS_PAYMENT_LIVE_PIN=KohaSimulator.demo_pin,
            ILS_PAYMENT_LIVE_MAY_BOOK="yes",
        )
    assert passed >= 20
    assert "this stand cannot register patrons" in said
    [credit] = koha.truth()["patrons"][str(koha.patron_ids["erika"])]["credits"].values()
    assert credit["marker"] == "ILSP-7K3M9Q-4"


def test_a_provider_is_proved_as_far_as_nobody_has_to_pay(tmp_path):
    stripe = StripeSimulator.demo(webhook_url="https://pay.example/webhooks/live/stripe")
    with serve(stripe) as address:
        table = (
            f'api_key = {{ env = "LIVE_KEY" }}\nwebhook_secrets = [{{ env = "LIVE_HOOK" }}]\n'
            f'statement_descriptor = "STADTBUECHEREI"\napi_base = "{address}"\n'
        )
        said, passed = run_kit(
            tmp_path,
            table,
            "check or found or as_it_was or declares or down",
            LIVE_KEY="sk_test_simulator",
            LIVE_HOOK="whsec_simulator",
            ILS_PAYMENT_LIVE_PROVIDER="stripe",
        )
    assert passed >= 6
    assert "nobody pays on this stand" in said
    assert stripe.truth()["captured"] == {}
