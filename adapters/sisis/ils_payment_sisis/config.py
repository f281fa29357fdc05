"""What an administrator configures for SISIS-SunRise, with a mend in every message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from ils_payment_sip2.config import SIP2Config
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback
from ils_payment_sisis import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLACE = re.compile(r"\{([^{}]*)\}")
_BLOCK_KINDS = ("fees", "restriction", "overdues", "lost_card", "address")


class Table(BaseModel):
    """A table inside of the library system's: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Command(Table):
    """One SLNP command of the library's own, as its licence and its SISIS administrator give it."""

    command: str = Field(
        description="Name of the command, exactly as your SISIS administrator gives it.",
        examples=["NameInYourLicence"],
    )
    parameters: dict[str, str] = Field(
        description="Its parameters; {card} stands for the card number, for a renewal also {until} and "
        "{base} (the new and the old last day, as dd.mm.yyyy) and {marker} (our number of the payment).",
        examples=[{"BenutzerNummer": "{card}"}],
    )

    @field_validator("command")
    @classmethod
    def _check_command(cls, value: str) -> str:
        if wire.NAME.fullmatch(value) is None:
            raise ValueError(
                "a command is one word of letters and digits; write it as your SISIS administrator gives it"
            )
        return value

    @field_validator("parameters")
    @classmethod
    def _check_parameters(cls, value: dict[str, str]) -> dict[str, str]:
        for key, text in value.items():
            if wire.NAME.fullmatch(key) is None or not text.isprintable():
                raise ValueError(
                    "a parameter is one word of letters and digits, and its value one line; correct it"
                )
        if not any("{card}" in text for text in value.values()):
            raise ValueError('no parameter says whom it is about; write { BenutzerNummer = "{card}" }')
        return value

    def _check_places(self, known: Iterable[str]) -> None:
        used = {name for text in self.parameters.values() for name in _PLACE.findall(text)}
        if not used <= set(known):
            allowed = ", ".join(f"{{{name}}}" for name in known)
            raise ValueError(f"parameters can only have these places: {allowed}; remove the others")

    def filled(self, **values: str) -> list[tuple[str, str]]:
        """Return the parameters with *values* in their places."""
        return [
            (key, _PLACE.sub(lambda found: values[found[1]], text)) for key, text in self.parameters.items()
        ]


class FeesCommand(Command):
    """A command of the library's own that lists open fees; they are shown, and paid as a whole."""

    amount: str = Field(default="Gebuehr", description="Key of a fee's amount in each unit of the answer.")
    text: str = Field(default="Text", description="Key of what the fee is for; no key of a title.")
    day: str = Field(default="Datum", description="Key of the day on which the fee arose.")
    header: str = Field(default="KtoTyp", description="A unit with this key is a heading and no fee.")

    @model_validator(mode="after")
    def _check_answer(self) -> Self:
        self._check_places(("card",))
        if any(wire.NAME.fullmatch(key) is None or wire.is_secret(key) for key in self.keys):
            raise ValueError("a key is one word, and none of a PIN or password; name another")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """Return what is wanted of each unit."""
        return (self.amount, self.text, self.day, self.header)


class RenewCommand(Command):
    """A command of the library's own that gives a card a new last day."""

    expect: dict[str, str] = Field(
        default_factory=dict,
        description='What the answer must hold so that it counts as a yes, such as { Ergebnis = "J" }.',
    )
    refused_errors: tuple[str, ...] = Field(
        default=(),
        description="Error ids (after code 510) with which certainly nothing was renewed; every other error "
        "is unclear.",
    )

    @model_validator(mode="after")
    def _check_answer(self) -> Self:
        self._check_places(("card", "until", "base", "marker"))
        if any(wire.NAME.fullmatch(key) is None or wire.is_secret(key) for key in self.expect):
            raise ValueError("a key is one word, and none of a PIN or password; name another")
        return self

    @property
    def names_the_day(self) -> bool:
        """Tell whether the command is told the new day, and follows no rule of its own."""
        return any("{until}" in text for text in self.parameters.values())


class SLNPTable(Table):
    """Reading through SLNP, for which the library needs OCLC's licence."""

    host: str = Field(
        min_length=1,
        description="Name or address of the SLNP server.",
        examples=["sisis.library.example"],
    )
    port: int = Field(ge=1, le=65535, description="Its TCP port.", examples=[9001])
    security: Literal["tls", "tunnel"] = Field(
        default="tls",
        description="tls: the server, or a stunnel before it, speaks TLS from the first byte. tunnel: host "
        "is the end of a VPN or tunnel of your own, and nobody else can listen there.",
    )
    ca_file: str | None = Field(
        default=None,
        description="File with the authority of the server's certificate, where the system does not know it.",
    )
    login: Literal["none", "opac", "staff"] = Field(
        default="none",
        description="How a connection begins: none, opac (SLNPServerInit with user and database) or staff "
        "(SLNPSysParam with user, branch and password; the other commands then name user and branch).",
    )
    user: str = Field(default="", max_length=100, description="Kennung, or LoginKennung of a staff login.")
    database: str = Field(default="", max_length=100, description="Datenbank, for login = opac.")
    branch: str = Field(default="", max_length=100, description="ZweigStelle, for login = staff.")
    password: Secret | None = Field(default=None, description="SIASPasswort, for login = staff.")
    charset: str = Field(
        default="iso8859-1", description="Character set, where the server's greeting names none."
    )
    record: bool = Field(
        default=True,
        description="Read the end of the card with SLNPAlleBenutzerDaten. Its answer holds the PIN in clear, "
        "which is dropped while it is read; with false the end of a card is unknown.",
    )
    category_key: str = Field(
        default="",
        description="Key of the patron's group in that answer, which is not publicly known; empty: none.",
    )
    fees: FeesCommand | None = None
    renew: RenewCommand | None = None

    @field_validator("category_key")
    @classmethod
    def _check_key(cls, value: str) -> str:
        if value and (wire.NAME.fullmatch(value) is None or wire.is_secret(value)):
            raise ValueError("a key is one word, and none of a PIN or password; name another")
        return value

    @field_validator("charset")
    @classmethod
    def _check_charset(cls, value: str) -> str:
        if not wire.is_charset(value):
            raise ValueError("this character set is not known; write iso8859-1 or utf-8")
        return value

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if self.ca_file is not None and self.security != "tls":
            raise ValueError('ca_file is of use with security = "tls" only; remove it')
        if self.login == "opac" and not (self.user and self.database):
            raise ValueError("login = opac needs user and database; add them")
        if self.login == "staff" and not (self.user and self.branch and self.password):
            raise ValueError("login = staff needs user, branch and password; add what is missing")
        words = (self.user, self.database, self.branch)
        if not all(word.isprintable() for word in words) or (
            self.password is not None and not self.password.get_secret_value().isprintable()
        ):
            raise ValueError("user, database, branch and password are single lines; remove what is no text")
        if self.renew is not None and not self.record:
            raise ValueError("a renewal has to see the end of the card; write record = true")
        return self


class NCIPTable(Table):
    """Reading through the NCIP2SLNP gateway, which wants the patron's PIN for each question."""

    url: str = Field(
        description="Address of the gateway.", examples=["https://sisis.library.example/ncip2slnp"]
    )
    remember_minutes: int = Field(
        default=10,
        ge=1,
        le=30,
        description="How long the answer of the sign-in is shown before the patron has to sign in again.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            raise ValueError("this is no web address; write it like https://sisis.example.org/ncip2slnp")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("the gateway must be reached by https, or PINs travel in clear; use https://")
        return value


class WritesTable(SIP2Config):
    """Writing through SIP2: what is paid is marked as paid with message 37."""


class SISISConfig(PluginConfig):
    """The table ``[libraries.<key>.library_system]`` of a library with SISIS-SunRise."""

    amounts: Literal["comma", "point", "cents"] = Field(
        default="comma",
        description="How amounts are read: 12,50 (comma), 12.50 (point) or 1250 (cents).",
    )
    block_kinds: dict[str, str] = Field(
        default_factory=dict,
        description='What your ids of Sperre mean, such as { 3 = "fees" }; one of fees, restriction, '
        "overdues, lost_card, address. Others are restriction, which only a person lifts.",
    )
    absent_errors: tuple[str, ...] = Field(
        default=(),
        description="Error ids (Ops...) with which your SISIS says that there is no such card; they are not "
        "publicly known.",
    )
    deadline_seconds: float = Field(
        default=15.0, ge=1.0, le=20.0, description="Longest time for one question, in seconds."
    )
    check_pin: Secret | None = Field(
        default=None,
        description="PIN of the test card writes.check_card; with NCIP2SLNP nothing can be read without it.",
    )
    # With an example, this way is the one that init writes; it has to be one of the two.
    slnp: SLNPTable | None = Field(default=None, examples=[{}])
    ncip: NCIPTable | None = None
    writes: WritesTable

    @field_validator("block_kinds")
    @classmethod
    def _check_kinds(cls, value: dict[str, str]) -> dict[str, str]:
        if not set(value.values()) <= set(_BLOCK_KINDS):
            raise ValueError(f"this is no kind of block; there is {', '.join(_BLOCK_KINDS)}")
        return value

    @model_validator(mode="after")
    def _check_ways(self) -> Self:
        if (self.slnp is None) == (self.ncip is None):
            raise ValueError(
                "give exactly one of the tables slnp and ncip, the way in which is read; add one below the "
                "library system, [....slnp] or [....ncip], and remove the other"
            )
        if self.writes.spoken.has_fee_ids:
            raise ValueError(
                "SISIS gives fees no ids when they are read, so none can be named when they are paid; "
                'write fee_lines = "none" in writes.dialect'
            )
        return self
