"""What an administrator writes in ``[libraries.<key>.providers.xbezahldienste]``."""

from __future__ import annotations

import re
import stat
from enum import StrEnum
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = r"[A-Za-z0-9_-]{1,36}"
"""How the interface spells the ids that it puts into addresses and requests (documented)."""

PURPOSE_LIMIT = 13
"""``purpose`` has 27 characters (documented); the payment's number takes 13 and a space one."""

_ACCOUNTS = ("cost_centre", "account")


class Authentication(StrEnum):
    """How the payment service knows us; the interface itself leaves that open."""

    CERTIFICATE = "certificate"
    OAUTH2 = "oauth2"
    BASIC = "basic"


NEEDS = {
    Authentication.CERTIFICATE: ("client_certificate", "client_key"),
    Authentication.OAUTH2: ("token_url", "client_id", "client_secret"),
    Authentication.BASIC: ("user", "password"),
}
"""The keys that each way of authenticating needs; those of the others stay away."""


class XBezahldiensteConfig(PluginConfig):
    """One end point of one payment service."""

    first_method: ClassVar[str] = "payment_page"

    url: str = Field(
        description="Base address of the interface, as the payment service names it; what follows it is "
        "paymenttransaction/... and status/...",
        examples=["https://epayment.example/xbezahldienste/api/v1.0.0/"],
    )
    originator_id: str = Field(
        pattern=f"^{ID}$",
        description="The originatorId that the payment service gave you (at pmPayment the Verfahren).",
        examples=["bibliothek"],
    )
    end_point_id: str = Field(
        pattern=f"^{ID}$",
        description="The endPointId that it gave you, often the municipality's official key (AGS).",
        examples=["08115003"],
    )
    authentication: Authentication = Field(
        description="How it knows you: certificate (ePayBL), oauth2 (pmPayment) or basic (ePay21).",
        examples=["certificate"],
    )
    client_certificate: str = Field(
        default="",
        description="For certificate: the file with your certificate (PEM).",
        examples=["/etc/ils-payment/epaybl.pem"],
    )
    client_key: str = Field(
        default="",
        description="For certificate: the file with its key (PEM, without a passphrase, readable by nobody "
        "else).",
        examples=["/etc/ils-payment/epaybl.key"],
    )
    token_url: str = Field(
        default="", description="For oauth2: the address that gives tokens for client credentials."
    )
    client_id: str = Field(default="", description="For oauth2: the client's id.")
    client_secret: Secret | None = Field(default=None, description="For oauth2: the client's secret.")
    user: str = Field(default="", description="For basic: the user's name.")
    password: Secret | None = Field(default=None, description="For basic: the password.")
    live: bool = Field(
        default=False,
        description="Whether real money moves. The interface does not tell test from production, so you do.",
        examples=[False],
    )
    purpose: str = Field(
        default="BIBLIOTHEK",
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_ -]*$",
        max_length=PURPOSE_LIMIT,
        description="What stands before the payment's number on the payer's bank statement; at most 13 "
        "letters and digits without umlauts (capitals only, for ePayBL).",
    )
    booking_data: dict[str, str] = Field(
        default={},
        description="What the treasury wants to have with each line, by its own names; {cost_centre} and "
        "{account} stand for those of the fee kind in the tariff. A value that comes out empty is left out.",
        examples=[{"HHST": "{cost_centre}", "Objektnummer": "{account}"}],
    )
    page_origins: tuple[str, ...] = Field(
        default=(),
        description="Where the payment page lies, if not on the host of url, e.g. https://paypage.example.",
    )

    @property
    def base(self) -> str:
        """Return the base address without the slash at its end."""
        return self.url.rstrip("/")

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the origins that the payer's browser may be sent to."""
        return self.page_origins or (_origin(self.url),)

    @property
    def line_accounts(self) -> tuple[str, ...]:
        """Return what of a fee kind's accounts ``booking_data`` asks for."""
        asked = {part for value in self.booking_data.values() for part in _parts(value)}
        return tuple(name for name in _ACCOUNTS if name in asked)

    @property
    def certificate(self) -> tuple[str, str] | None:
        """Return the files of our own certificate and its key, where these are how we are known."""
        if self.authentication is not Authentication.CERTIFICATE:
            return None
        return self.client_certificate, self.client_key

    @field_validator("url", "token_url")
    @classmethod
    def _keep_secrets_on_the_way(cls, value: str) -> str:
        return _safe(value) if value else value

    @field_validator("page_origins")
    @classmethod
    def _origins_only(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if _safe(value) != _origin(value):
                raise ValueError(
                    "this is more than an origin; write scheme and host only, e.g. https://paypage.example"
                )
        return values

    @field_validator("client_certificate", "client_key")
    @classmethod
    def _readable_file(cls, value: str) -> str:
        if not value:
            return value
        if not Path(value).is_absolute():
            raise ValueError("this is no absolute path; write it like /etc/ils-payment/epaybl.pem")
        try:
            Path(value).read_bytes()
        except OSError as error:
            raise ValueError(
                f"the file {value} cannot be read ({error.strerror}); correct the path, or let the user of "
                "the service read the file"
            ) from None
        return value

    @field_validator("client_key")
    @classmethod
    def _key_for_nobody_else(cls, value: str) -> str:
        if value and Path(value).stat().st_mode & stat.S_IROTH:
            raise ValueError(f"the file {value} can be read by everybody; type: chmod o-r {value}")
        return value

    @field_validator("booking_data")
    @classmethod
    def _known_parts_only(cls, values: dict[str, str]) -> dict[str, str]:
        for name, value in values.items():
            if not re.fullmatch(r"[\w-]{1,100}", name):
                raise ValueError(
                    "the names of booking_data have letters, digits, _ and - only; correct the name"
                )
            wrong = [part for part in _parts(value) if part not in _ACCOUNTS]
            if wrong:
                raise ValueError(
                    "only {cost_centre} and {account} can be filled in; write one of them, or no braces"
                )
        return values

    @model_validator(mode="after")
    def _complete(self) -> XBezahldiensteConfig:
        for way, names in NEEDS.items():
            given = [name for name in names if getattr(self, name)]
            missing = [name for name in names if not getattr(self, name)]
            if way is self.authentication and missing:
                raise ValueError(
                    f'authentication = "{way}" needs {" and ".join(missing)}; add what is missing'
                )
            if way is not self.authentication and given:
                raise ValueError(
                    f'{" and ".join(given)} belongs to authentication = "{way}", which is not chosen; '
                    "remove it"
                )
        return self


def _parts(template: str) -> Iterator[str]:
    """Return the names in braces; ValueError for anything else that a template could ask for."""
    try:
        found = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("a brace { stands alone here; remove it") from None
    for _, name, form, conversion in found:
        if name is not None:
            yield f"{name}{form or ''}{conversion or ''}"


def _safe(value: str) -> str:
    """Return an address that nobody on the way can listen to; ValueError for another."""
    parts = urlsplit(value)
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(
            "no plain address; write an address like https://epayment.example/api/, without user and query"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(
            "only https is allowed here (plain http for 127.0.0.1 and localhost); write https://"
        )
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    return f"{parts.scheme}://{parts.netloc}"
