"""Finds the runner that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

from ils_payment.config import EMBEDDED
from ils_payment.plugins import Plugins
from ils_payment.runner import EmbeddedRunner

if TYPE_CHECKING:
    from ils_payment.config import Settings
    from ils_payment.ports import Runner


def runner_of(settings: Settings) -> Runner:
    """Return the runner that ``server.runner`` names, not started; PluginError when it is not installed."""
    name = settings.server.runner
    if name == EMBEDDED:
        return EmbeddedRunner()
    url = make_url(settings.server.database)
    if settings.server.database_password is not None:
        url = url.set(password=settings.server.database_password.get_secret_value())
    return Plugins({name}).runner(name)(url.render_as_string(hide_password=False))
