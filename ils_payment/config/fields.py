"""What the tables of the configuration share: their base, and the types of their fields."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from ils_payment.model import LocalText
from ils_payment.problems import Source

MAIL = r"^[^@\s]+@[^@\s]+$"
WEB = r"^https?://"


class Table(BaseModel):
    """The base of all tables: frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PluginTable(BaseModel):
    """A table that a plugin reads: ``plugin`` names it, the rest is the plugin's own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    _source: Source | None = PrivateAttr(None)
    plugin: str = Field(
        min_length=1, description="Name of the plugin; ils-payment plugins lists what is installed."
    )

    @property
    def own(self) -> dict[str, Any]:
        """Return what belongs to the plugin."""
        return dict(self.model_extra or {})

    @property
    def source(self) -> Source | None:
        """Return where the table was read, for messages; None for settings that no file holds."""
        return self._source

    def come_from(self, source: Source) -> None:
        """Remember where the table was read."""
        self._source = source


def wrong_at(where: str, text: str) -> PydanticCustomError:
    """Return a problem of the key *where* further down, which a check of the whole table found."""
    return PydanticCustomError("wrong_at", "{text}", {"text": text, "at": where})


def plain_key(key: str) -> str:
    """Return *key* if it can be part of an address; else raise ValueError ("what; mend")."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", key):
        raise ValueError("this name is part of addresses; use lower-case letters, digits and hyphens only")
    return key


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError(f"{value!r} is no address or network; write e.g. 10.0.0.0/8") from None
    return value


def _one_language(value: Any) -> Any:  # noqa: ANN401 - whatever the administrator wrote
    """Let a plain string stand for a text that is the same in every language."""
    return {"de": value} if isinstance(value, str) else value


PlainKey = Annotated[str, AfterValidator(plain_key)]
"""The key of a library or provider, which stands in addresses."""

Network = Annotated[str, AfterValidator(_network)]
"""An IP address or network, e.g. ``10.0.0.0/8``."""

Text = Annotated[LocalText, BeforeValidator(_one_language)]
"""A text for patrons: ``"..."`` or ``{ de = "...", en = "..." }``."""
