"""README and handbook are followed as written: commands run, configurations load, links lead somewhere."""

from __future__ import annotations

import logging
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment import __version__
from ils_payment.cli.main import COMMANDS, cli
from ils_payment.config import Server, Settings
from ils_payment.errors import ILSPaymentError
from ils_payment.loading import check_live, check_plugin_tables, load_settings
from ils_payment.plugins import Plugins
from ils_payment.testing.simulator import serve

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
OPERATING = ROOT / "docs" / "operating.md"
PAGES = [README, *(page for room in ("docs", "integrations") for page in sorted((ROOT / room).rglob("*.md")))]
PROGRAM = "/opt/ils-payment/bin/ils-payment"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(page: Path) -> list[list[str]]:
    return [shlex.split(line) for block in blocks(page, "sh") for line in block.splitlines() if line]


# --- what the first screen promises ------------------------------------------------------------


def test_the_readme_begins_with_two_commands_that_make_knows() -> None:
    assert blocks(README, "sh")[0].splitlines() == ["make demo", "make test"]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for name in re.findall(r"`make ([a-z]+)`", README.read_text(encoding="utf-8")):
        assert name in targets


def test_pictures_are_there_and_described() -> None:
    pictures = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', README.read_text(encoding="utf-8"))
    assert pictures
    for path, words in pictures:
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG"), path
        assert len(words) > 20


# --- links ---------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as common renderers of Markdown make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


# --- configurations ------------------------------------------------------------------------------


def secrets_in_the_readme() -> dict[str, str]:
    """The lines of secrets.env, with something that looks like a secret of that kind behind each name."""
    [block] = blocks(README, "ini")
    made = {"rk_test_...": "rk_test_readme", "whsec_...": "whsec_readme", "...": "demo-secret"}
    return {name: made[value] for name, _, value in (line.partition("=") for line in block.splitlines())}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    given = secrets_in_the_readme()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


def test_the_configuration_of_the_readme_loads_with_the_secrets_it_lists(
    tmp_path: Path, secrets: dict[str, str]
) -> None:
    [block] = blocks(README, "toml")
    path = tmp_path / "config.toml"
    path.write_text(block, encoding="utf-8")
    settings = load_settings(path)
    check_plugin_tables(settings, Plugins(settings.plugin_names()))
    assert set(re.findall(r'env = "(\w+)"', block)) == set(secrets)


def test_what_the_readme_asks_for_before_going_live_is_what_the_program_asks_for(
    tmp_path: Path, secrets: dict[str, str]
) -> None:
    [block] = blocks(README, "toml")
    named = set(
        re.findall(r"`\[libraries\.main\.(contact|pages|receipt)\]`", README.read_text(encoding="utf-8"))
    )
    assert named == {"contact", "pages", "receipt"}
    tables = """
[libraries.main.contact]
phone = "+49 7032 12345"
mail = "info@library.example"
hours = "Tue-Sat 10-18"
[libraries.main.pages]
imprint_url = "https://library.example/i"
privacy_url = "https://library.example/p"
accessibility_url = "https://library.example/a"
[libraries.main.receipt]
authority = "Town"
address = ["Street 1", "12345 Town"]
tax_note = "No VAT."
"""
    path = tmp_path / "config.toml"
    path.write_text(block + tables, encoding="utf-8")
    check_live(load_settings(path), {"main"})


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in more.items():
        inner = both.get(key)
        both[key] = merged(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return both


@pytest.mark.parametrize("page", ["koha.md", "stripe.md", "handing-over.md"])
def test_the_pieces_of_configuration_in_other_pages_fit_into_a_whole(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str]
) -> None:
    [readme] = blocks(README, "toml")
    whole = tomllib.loads(readme)
    found = blocks(ROOT / "docs" / page, "toml")
    assert found
    for block in found:
        # Each page has a library and secret files of its own; here they are those of the README.
        text = re.sub(r"\blibraries\.\w+", "libraries.main", block)
        text = text.replace('{ credential = "stripe-key" }', '{ env = "STRIPE_API_KEY" }')
        text = re.sub(r'\{ (file|credential) = "[^"]*" \}', '{ env = "A_LONG_SECRET" }', text)
        monkeypatch.setenv("A_LONG_SECRET", "x" * 64)
        settings = Settings.model_validate(merged(whole, tomllib.loads(text)))
        check_plugin_tables(settings, Plugins(settings.plugin_names()))


# --- commands ------------------------------------------------------------------------------------


BY_HAND = {
    "apt",
    "umask",
    "python3",
    "chgrp",
    "systemd-sysusers",
    "systemctl",
    "editor",
    "nginx",
    "apachectl",
    "a2enmod",
    "a2ensite",
    "curl",
    "journalctl",
    "make",
}
"""Commands that need root, another program or a running service; test_docs_deploy.py tries what they read."""


@pytest.fixture
def mail_server() -> Iterator[int]:
    """Something that greets like a mail server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 mail.library.example ESMTP\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)


class Administrator:
    """Follows the commands in a folder that stands for the machine's root."""

    def __init__(self, root: Path, secrets: dict[str, str], remotes: dict[str, str]) -> None:
        self.root = root
        self.config = root / "etc/ils-payment/config.toml"
        self.remotes = remotes
        self.environment = {**os.environ, **secrets, "ILS_PAYMENT_CONFIG": str(self.config)}
        self.ran: list[str] = []

    def inside(self, path: str) -> str:
        return str(self.root) + path if path.startswith("/") and path != "/dev/null" else path

    def follow(self, words: list[str]) -> None:
        program, *rest = words
        if program in {PROGRAM, "ils-payment"}:
            self.ils_payment(rest)
        elif program == "install":
            # The test has one user only.
            unowned = [
                word
                for before, word in zip(["", *rest], rest, strict=False)
                if not {before, word} & {"-o", "-g"}
            ]
            self.run("install", *(self.inside(word) for word in unowned))
        elif program == "ln":
            self.run("ln", *(self.inside(word) for word in rest))
        elif program == "mv":
            *sources, target = (self.inside(word) for word in rest)
            found = [path for source in sources for path in Path("/").glob(source.lstrip("/"))]
            assert found, words
            self.run("mv", *map(str, found), target)
        elif program.endswith("/pip"):
            extras = re.search(r"\[(.+)\]", rest[-1])
            known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
            assert extras
            assert set(extras[1].split(",")) <= set(known["project"]["optional-dependencies"])
        else:
            assert program in BY_HAND, words

    def run(self, *command: str, good: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=ROOT, env=self.environment, timeout=60
        )
        assert done.returncode in good, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def ils_payment(self, arguments: list[str]) -> None:
        arguments = [self.inside(word) for word in arguments]
        # A made-up number or person is not found; everything else succeeds.
        unknown = bool({"show", "subject", "CASE", "REFUND", "ILSP-7K3M9Q-4"} & set(arguments))
        good = (1,) if unknown else (0,)
        if arguments[0] in {"init", "db"}:
            output = self.run(sys.executable, "-m", "ils_payment.cli.main", *arguments, good=good)
        else:
            output = self.in_this_process(arguments, good)
        assert not unknown or "There is no" in output or "Nothing is known" in output, output
        self.ran.append(" ".join(arguments[:2]))
        if arguments[0] == "init":
            self.fill_in()

    def in_this_process(self, arguments: list[str], good: tuple[int, ...]) -> str:
        """Run a command without a Python of its own: there are dozens of them."""
        done = CliRunner().invoke(cli, arguments, env=self.environment, prog_name="ils-payment")
        told = done.output + (str(done.exception) if isinstance(done.exception, ILSPaymentError) else "")
        assert done.exit_code in good, f"{arguments}: {told}"
        return told

    def fill_in(self) -> None:
        """Write what the README's example says, with addresses that exist here."""
        [block] = blocks(README, "toml")
        for old, new in self.remotes.items():
            assert block.count(old) == 1, old
            block = block.replace(old, new)
        ledger = self.root / "var/lib/ils-payment/ledger.db"
        block = block.replace("[server]\n", f'[server]\ndatabase = "sqlite:///{ledger}"\n')
        self.config.chmod(0o640)
        self.config.write_text(block, encoding="utf-8")


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """The command line sets logging up for a process of its own."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture
def administrator(tmp_path: Path, mail_server: int) -> Iterator[Administrator]:
    secrets = secrets_in_the_readme()
    koha = KohaSimulator.demo(client_secret=secrets["KOHA_CLIENT_SECRET"])
    stripe = StripeSimulator.demo(
        api_key=secrets["STRIPE_API_KEY"], webhook_secret=secrets["STRIPE_WEBHOOK_SECRET"]
    )
    # The webhook endpoint is made as the README says.
    [stripe.webhook_url] = re.findall(r"`(https://\S+/webhooks/\S+)`", README.read_text(encoding="utf-8"))
    for folder in ("etc/nginx/sites-available", "etc/nginx/sites-enabled", "etc/apache2/sites-available"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("usr/local/sbin", "etc/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    with serve(koha) as koha_address, serve(stripe) as stripe_address:
        remotes = {
            "https://koha.library.example/api/v1": f"{koha_address}/api/v1",
            "00000000-0000-0000-0000-000000000000": "ils-payment",
            '"MAIN"': '"ZENTRALE"',
            "23529000000001": koha.demo_card,
            'host = "mail.library.example"': f'host = "127.0.0.1"\nport = {mail_server}',
            "statement_descriptor = ": f'api_base = "{stripe_address}"\nstatement_descriptor = ',
        }
        yield Administrator(tmp_path, secrets, remotes)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_logging_as_before")
def test_following_the_readme_and_the_handbook_leads_to_a_green_check(administrator: Administrator) -> None:
    for words in commands(README) + commands(OPERATING):
        administrator.follow(words)
    for expected in (
        "init --library",
        "db upgrade",
        "check",
        "payments list",
        "cases list",
        "pause",
        "resume",
        "pause --until-reconciled",
        "export --library",
        "verify",
        "subject erase",
        "cases resolve",
        "refunds approve",
    ):
        assert expected in administrator.ran
    assert [one.split()[0] for one in administrator.ran if one.split()[0] in {"backup", "restore"}] == [
        "backup",
        "backup",
        "restore",
    ]
    etc = administrator.root / "etc"
    assert (etc / "systemd/system/ils-payment.service").is_file()
    assert (etc / "nginx/sites-enabled/ils-payment").resolve().is_file()
    assert (etc / "ils-payment/secrets.env").stat().st_mode & 0o777 == 0o600
    assert (administrator.root / "var/lib/ils-payment").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`ils-payment ([a-z]+)", text):
        assert name in COMMANDS, name
    for words in commands(page):
        assert words[0] != "ils-payment" or words[1] in COMMANDS, words


def test_the_wheel_in_the_readme_has_this_version() -> None:
    assert re.findall(r"ils_payment-([\d.]+)-py3", README.read_text(encoding="utf-8")) == [__version__]


def test_the_port_in_the_readme_is_the_programs() -> None:
    ports = set(re.findall(r"127\.0\.0\.1:(\d+)", README.read_text(encoding="utf-8")))
    assert ports == {str(Server.model_fields["port"].default)}


def test_who_looks_for_cards_that_end_is_led_to_the_commands_that_switch_renewals_on() -> None:
    assert "| Library cards that end | [docs/renewal.md](docs/renewal.md)" in README.read_text(
        encoding="utf-8"
    )
    typed = [words[:3] for words in commands(ROOT / "docs" / "renewal.md")]
    assert typed == [
        ["ils-payment", "tariff", "check"],
        ["ils-payment", "tariff", "quote"],
        ["ils-payment", "check"],
        ["systemctl", "restart", "ils-payment"],
    ]
