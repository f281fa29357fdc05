"""``serve`` and ``worker`` as processes: they start, refuse what cannot work, and end in order."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import requests

from ils_payment.cli.serve import listening
from ils_payment.errors import ConfigurationError
from tests.free_port import free_port

PATIENCE = 40.0

CONFIG = """\
[server]
public_url = "http://127.0.0.1:{port}"
port = {port}
database = "{database}"
{server}
[libraries.town]
name = "Town"
[libraries.town.library_system]
plugin = "koha"
url = "https://koha.example/api/v1"
client_id = "x"
client_secret = {{ env = "SECRET_KOHA" }}
[libraries.town.providers.stripe]
api_key = {{ env = "SECRET_KEY" }}
webhook_secrets = [{{ env = "SECRET_HOOK" }}]
statement_descriptor = "TOWN LIBRARY"
[[libraries.town.methods]]
method = "card"
provider = "stripe"
"""

SECRETS = {"SECRET_KOHA": "canary-koha", "SECRET_KEY": "rk_test_canary", "SECRET_HOOK": "whsec_canary"}


@pytest.fixture
def write(tmp_path):
    def write(database=None, server=""):
        port = free_port()
        path = tmp_path / "config.toml"
        database = database or f"sqlite:///{tmp_path}/ledger.db"
        path.write_text(CONFIG.format(port=port, database=database, server=server), encoding="utf-8")
        return path, port

    return write


@contextmanager
def started(*arguments):
    """The program as a process of its own, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ils_payment.cli.main", *map(str, arguments)],
        env={**os.environ, **SECRETS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def healthy(port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError("it does not answer")


def test_serve_answers_logs_as_configured_and_ends_in_order_on_sigterm(ils_payment, write, secrets):
    config, port = write(server='log_format = "json"')
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    with started("--config", config, "serve") as process:
        assert healthy(port) == 200
        process.terminate()
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert not out
    assert "Traceback" not in err
    assert "canary" not in err
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert any("Started server process" in line["event"] for line in lines)


def test_a_second_serve_is_refused_and_the_first_ends_in_order_on_sigint(
    ils_payment, write, secrets, tmp_path
):
    config, port = write()
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    other = tmp_path / "other.toml"
    other.write_text(
        config.read_text(encoding="utf-8").replace(str(port), str(free_port())), encoding="utf-8"
    )
    with started("--config", config, "serve") as process:
        assert healthy(port) == 200
        same_port = ils_payment("--config", config, "serve")
        same_ledger = ils_payment("--config", other, "serve")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert same_port.code == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use." in same_port.err
    assert same_ledger.code == 1
    assert "Another ils-payment serves" in same_ledger.err
    assert process.returncode == 0
    assert "Traceback" not in err


def test_an_address_that_this_host_has_not_is_called_so():
    """192.0.2.0/24 is for documentation, so no host has it (RFC 5737)."""
    with (
        pytest.raises(ConfigurationError, match=r"no address 192\.0\.2\.1") as caught,
        listening("192.0.2.1", 0),
    ):
        raise AssertionError("the port was opened")
    assert "server.bind" in caught.value.mend


def test_serve_refuses_a_ledger_without_tables_and_says_what_to_type(ils_payment, write, secrets):
    config, _ = write()
    ran = ils_payment("--config", config, "serve")
    assert ran.code == 1
    assert "ils-payment db upgrade" in ran.err.splitlines()[-1]


def test_serve_refuses_real_money_without_what_patrons_need(ils_payment, write, secrets, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "rk_live_canary")
    config, _ = write()
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    ran = ils_payment("--config", config, "serve")
    assert ran.code == 1
    for key in ("contact", "pages", "receipt", "staff_email"):
        assert f"libraries.town.{key}: is needed with a provider's live key" in ran.err
    assert "canary" not in ran.err


def test_a_worker_on_sqlite_is_refused_with_the_reason(ils_payment, write, secrets):
    config, _ = write()
    ran = ils_payment("--config", config, "worker")
    assert ran.code == 1
    assert "SQLite has one writer" in ran.err
    assert "postgresql://" in ran.err


def test_a_worker_on_postgresql_works_until_a_signal(ils_payment, write, secrets, postgresql_url):
    config, _ = write(database=postgresql_url)
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    with started("--config", config, "worker") as process:
        assert process.stderr is not None
        assert "settles what is due" in process.stderr.readline()
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_port_that_only_root_may_open_is_told_with_the_way_out(monkeypatch):
    def refused(*_arguments, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refused)
    with pytest.raises(ConfigurationError) as caught, listening("127.0.0.1", 80):
        raise AssertionError("the port was opened")
    assert "above 1023" in caught.value.mend
