"""The runner for PostgreSQL and many hosts; ``docs/operating.md``, "Several hosts", tells how it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment import hookimpl
from ils_payment_procrastinate.runner import ProcrastinateRunner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import Runner


@hookimpl
def ils_payment_runners() -> Mapping[str, type[Runner]]:
    """Offer it under the name ``procrastinate``."""
    return {"procrastinate": ProcrastinateRunner}
