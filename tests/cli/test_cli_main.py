"""The command line as a whole: quick help, errors in two lines."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from ils_payment import __version__
from ils_payment.cli.main import COMMANDS, cli

HEAVY = (
    "pydantic",
    "sqlalchemy",
    "fastapi",
    "stripe",
    "pymarc",
    "rich",
    "ils_payment_koha",
    "ils_payment_stripe",
    "Adyen",
    "ils_payment_adyen",
    "ils_payment_xbezahldienste",
)


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from ils_payment.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "print('LOADED', *sorted(sys.modules), sep='\\n')\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    told, loaded = shown.split("LOADED\n")
    for name, (_, help_text) in COMMANDS.items():
        assert f"  {name}" in told
        assert help_text in told
    assert not set(HEAVY) & set(loaded.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_the_list_says_and_explains_itself(name):
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_what_lists_speaks_json():
    without = []

    def look(command, path):
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                look(command.get_command(click.Context(command), name), f"{path} {name}")
        elif not any("--json" in option.opts for option in command.params):
            without.append(path.strip())

    look(cli, "")
    assert without == [
        *("init", "db upgrade", "serve", "worker", "pause", "resume"),
        *("subject erase", "subject export", "staff add", "staff disable", "staff reset"),
    ]


def test_an_unknown_command_is_a_usage_error(ils_payment):
    ran = ils_payment("plugin")
    assert ran.code == 2
    assert "No such command" in ran.err


def test_the_version_is_told(ils_payment):
    assert __version__ in ils_payment("--version").out


@pytest.mark.parametrize(
    "arguments", [("payments", "list"), ("db", "status"), ("serve",), ("worker",), ("pause",)]
)
def test_an_expected_error_is_two_lines_without_traceback(ils_payment, tmp_path, arguments):
    path = tmp_path / "none.toml"
    ran = ils_payment("--config", path, *arguments)
    assert ran.code == 1
    assert not ran.out
    error, mend = ran.err.splitlines()
    assert error == f"Error: There is no configuration file {path}."
    assert mend.startswith("What to do: Type: ils-payment init")
