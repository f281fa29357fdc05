"""The staff pages below /staff. They exist only with the table [staff] in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ils_payment.errors import PluginError, installing

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ils_payment.flows.house import House

IDLE = timedelta(minutes=15)


def install(app: FastAPI, house: House) -> None:
    """Add the staff pages to *app*; nothing happens without [staff]."""
    if house.settings.staff is None:
        return
    try:
        from ils_payment.web.staff import rooms  # noqa: PLC0415 - needs packages that patrons do not
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ils_payment"):
            raise
        raise PluginError(
            f"[staff] needs the package {error.name}, which is not installed.",
            mend=installing("staff"),
        ) from None
    rooms.install(app, house)
