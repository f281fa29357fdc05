"""The handbook's commands about a person do what it says, and leave the books whole."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from sqlalchemy import text

from ils_payment.cli import logs, subject
from ils_payment.cli.main import cli
from ils_payment.flows.verify import verify
from tests.books.conftest import pay_one

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def commands() -> list[list[str]]:
    """The handbook's commands about a person, for the town's library and its patron."""
    written = OPERATING.read_text(encoding="utf-8").replace("--library main", "--library lindental")
    found = re.findall(r"^ils-payment (subject .*)$", written, re.MULTILINE)
    return [shlex.split(one) for one in found]


def test_the_handbook_tells_and_erases_a_patron_and_keeps_the_books(town: Any, monkeypatch: Any) -> None:
    from contextlib import nullcontext

    pay_one(town, only=1)
    # Logging is set up for a process, and this one has other tests.
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(subject, "whole_house", lambda _config: nullcontext(town.house))
    telling, erasing = commands()
    # The handbook's number of a patron is made up; its card is that of the patron here.
    telling = [town.erika if word == "51" else word for word in telling]
    told = CliRunner().invoke(cli, telling)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["patron"] == town.erika
    erased = CliRunner().invoke(cli, erasing)
    assert erased.exit_code == 0, erased.output
    assert "the private data of 1 payment(s)" in erased.stdout
    with town.house.store.read() as unit:
        assert unit.connection.execute(text("SELECT count(*) FROM private_payments")).scalar() == 0
        assert unit.connection.execute(text("SELECT patron_ref FROM private_patrons")).scalar() is None
    assert verify(town.house).findings == []
