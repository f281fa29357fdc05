"""The SQL with which the handbook erases a patron's data does that, and leaves the books whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sqlalchemy import text

from ils_payment.store import chain

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def statements(ref: str) -> list[str]:
    """The handbook's statements, for the town's library and the patron *ref*."""
    blocks = re.findall(
        r"^```sql\n(.*?)^```", OPERATING.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    written = "".join(blocks).replace("'main'", "'lindental'").replace("'51'", f"'{ref}'")
    return [one.strip() for one in written.split(";") if one.strip()]


def test_the_handbook_erases_a_patron_and_keeps_the_books(each_town: Any) -> None:
    paid = each_town.started(only=1)
    each_town.stripe.pay(each_town.session_of(paid))
    with each_town.house.store.read() as unit:
        [[library, ref]] = unit.connection.execute(text("SELECT library, patron_ref FROM private_patrons"))
    under_way, *erasing = [one.replace("'lindental'", f"'{library}'") for one in statements(ref)]
    assert len(erasing) == 2
    with each_town.house.store.read() as unit:
        assert unit.connection.execute(text(under_way)).scalar() == 1
    each_town.deliver_webhooks()
    each_town.run()
    with each_town.house.store.unit() as unit:
        assert unit.connection.execute(text(under_way)).scalar() == 0
        for statement in erasing:
            assert unit.connection.execute(text(statement)).rowcount == 1
    with each_town.house.store.read() as unit:
        assert unit.connection.execute(text("SELECT count(*) FROM private_payments")).scalar() == 0
        assert unit.connection.execute(text("SELECT patron_ref FROM private_patrons")).scalar() is None
        assert chain.broken_at(unit, paid) is None
