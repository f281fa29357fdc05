"""The runner of the configuration: refused where it cannot work, its tables made and looked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from ils_payment import plugins as plugins_module
from ils_payment.errors import PluginError, installing

CONFIG = """\
[server]
public_url = "http://127.0.0.1:8480"
database = "{database}"
runner = "{runner}"
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
PATIENCE = 60.0


@pytest.fixture
def write(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)

    def write(database, runner="procrastinate"):
        path = tmp_path / "config.toml"
        path.write_text(CONFIG.format(database=database, runner=runner), encoding="utf-8")
        return path

    return write


def test_a_runner_for_several_hosts_on_sqlite_is_refused_with_the_reason(ils_payment, write, tmp_path):
    config = write(f"sqlite:///{tmp_path}/ledger.db")
    ran = ils_payment("--config", config, "db", "upgrade")
    assert ran.code == 1
    assert "server.runner" in ran.err
    assert "SQLite has one writer" in ran.err
    assert "line 4" in ran.err
    assert not (tmp_path / "ledger.db").exists()


def test_a_runner_that_is_not_installed_is_told_with_those_that_are(ils_payment, write, postgresql_url):
    ran = ils_payment("--config", write(postgresql_url, "procrastination"), "db", "upgrade")
    assert ran.code == 1
    assert "line 4: server.runner: the plugin 'procrastination' is not installed." in ran.err
    assert "Did you mean procrastinate?" in ran.err
    other = ils_payment("--config", write(postgresql_url, "kafka"), "db", "upgrade")
    assert "There is: embedded, procrastinate." in other.err


def test_a_plugin_that_is_no_runner_is_refused(ils_payment, write, postgresql_url):
    ran = ils_payment("--config", write(postgresql_url, "koha"), "db", "upgrade")
    assert ran.code == 1
    assert "The plugin 'koha' is no runner." in ran.err
    assert "What to do: There is: procrastinate." in ran.err


def test_a_missing_package_of_the_runner_names_the_extra_that_brings_it():
    point = plugins_module.installed()["procrastinate"]

    class Broken:
        name, extras = point.name, point.extras

        def load(self):
            raise ModuleNotFoundError("No module named 'procrastinate'", name="procrastinate")

    with pytest.raises(PluginError) as caught:
        plugins_module.load(Broken())  # type: ignore[arg-type]  # as much of an entry point as is needed
    assert caught.value.mend == installing("postgresql")


def test_the_upgrade_makes_the_runners_tables_and_without_them_nothing_starts(
    ils_payment, write, bare_postgresql_url
):
    embedded = write(bare_postgresql_url, "embedded")
    assert ils_payment("--config", embedded, "db", "upgrade").code == 0
    config = write(bare_postgresql_url)
    for command in (("worker",), ("db", "status")):
        ran = ils_payment("--config", config, *command)
        assert ran.code == 1
        assert "lacks the tables of the runner procrastinate" in ran.err
        assert ran.err.splitlines()[-1] == "What to do: Type: ils-payment db upgrade"
    assert "lacks the tables of the runner procrastinate" in ils_payment("--config", config, "check").out
    for _ in range(2):
        assert ils_payment("--config", config, "db", "upgrade").code == 0
    assert ils_payment("--config", config, "db", "status").code == 0


def test_a_worker_with_the_runner_works_until_sigterm_and_says_nothing_of_its_jobs(
    ils_payment, write, postgresql_url
):
    config = write(postgresql_url)
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "ils_payment.cli.main", "--config", str(config), "worker"],
        env={**os.environ, **SECRETS},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "settles what is due" in process.stderr.readline()
        deadline = time.monotonic() + PATIENCE
        while not _workers(postgresql_url):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert err == ""
    assert _workers(postgresql_url) == 0


def _workers(url):
    with psycopg.connect(url) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM procrastinate_workers").fetchall()
    return count
