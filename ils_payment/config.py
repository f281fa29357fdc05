"""What the configuration file may say. Loading it, and telling what is wrong in it, is in ``loading.py``.

Every field has a description: ``ils-payment init`` writes it as a comment and
``docs/configuration.md`` lists it; a test holds both against this file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from ils_payment.fields import MAIL, WEB, Network, PlainKey, Table, Text, wrong_at
from ils_payment.money import MoneyError, minor_digits, parse
from ils_payment.problems import Source
from ils_payment.secret import Secret

GONE_METHODS = {
    "giropay": "giropay was shut down at the end of 2024; use instant_bank_transfer",
    "sofort": "Sofort was discontinued in March 2025; use instant_bank_transfer",
    "paydirekt": "paydirekt was shut down with giropay; use instant_bank_transfer",
}


class Server(Table):
    """``[server]``: the process, its address and its database."""

    public_url: str = Field(
        description="Address under which patrons and providers reach this program, without a path."
    )
    database: str = Field(
        "sqlite:////var/lib/ils-payment/ledger.db",
        description="SQLAlchemy URL of the ledger: sqlite:////absolute/path or postgresql://user@host/name.",
    )
    database_password: Secret | None = Field(
        None, description="Password of the PostgreSQL user, if it needs one."
    )
    bind: str = Field(
        "127.0.0.1", description="Address on which the program listens (the web server is in front)."
    )
    port: int = Field(8480, ge=1, le=65535, description="Port on which the program listens.")
    trusted_proxies: tuple[Network, ...] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of the web servers in front: only these may say X-Forwarded-For.",
    )
    ca_bundle: str | None = Field(
        None, description="File with additional certificate authorities (PEM), if needed."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of the log lines: text or json.")
    metrics_token: Secret | None = Field(
        None, description="Bearer token for /metrics; without it only this host may ask."
    )

    @field_validator("public_url")
    @classmethod
    def _https(cls, value: str) -> str:
        parts = urlsplit(value.rstrip("/"))
        loopback = parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if not parts.hostname or parts.path or parts.query or parts.scheme not in {"https", "http"}:
            raise ValueError("write it as https://pay.library.example, without a path")
        if parts.scheme == "http" and not loopback:
            raise ValueError("must begin with https:// (payments need an encrypted connection)")
        return value.rstrip("/")

    @field_validator("database")
    @classmethod
    def _without_password(cls, value: str) -> str:
        if not value.startswith(("sqlite:////", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("write it as sqlite:////absolute/path or postgresql://user@host/name")
        if urlsplit(value).password:
            raise ValueError("a password must not stand here in clear; use database_password")
        return value


class Mail(Table):
    """``[mail]``: the mail server for staff messages and receipts. Without it no mail is sent."""

    host: str = Field(description="Name of the mail server.")
    port: int = Field(587, ge=1, le=65535, description="Port: 587 (STARTTLS), 465 (TLS) or 25 on this host.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="Encryption: starttls, tls, or none."
    )
    user: str | None = Field(None, description="User name at the mail server, if it wants one.")
    password: Secret | None = Field(None, description="Password at the mail server.")
    sender: str = Field(pattern=MAIL, description="From address of all mails.")

    @model_validator(mode="after")
    def _user_and_password(self) -> Mail:
        if (self.user is None) != (self.password is None):
            raise wrong_at("user", "user and password belong together")
        if self.password is not None and self.security == "none":
            raise wrong_at("security", "a password goes over starttls or tls only")
        return self


class Key(Table):
    """One hand-over key that the OPAC signs with."""

    kid: str = Field(min_length=1, description="Name of the key, written in the token's header.")
    secret: Secret = Field(description="The shared secret, at least 32 characters.")

    @field_validator("secret")
    @classmethod
    def _long(cls, value: Secret) -> Secret:
        if len(value.get_secret_value().encode()) < 32:  # RFC 7518 asks for 256 bits with HS256.
            raise ValueError("the hand-over secret is shorter than 32 bytes; type: openssl rand -hex 32")
        return value


class Arrival(Table):
    """``[libraries.x.arrival]``: how patrons come in."""

    keys: tuple[Key, ...] = Field(
        (), description="Keys for signed links from the OPAC; several while one is changed."
    )
    issuer: str = Field("opac", description="The `iss` that tokens must carry.")
    card_and_pin: bool = Field(
        default=True, description="Whether patrons may also sign in here with card number and PIN."
    )
    opac_url: str | None = Field(
        None, pattern=WEB, description="Address of the OPAC account, for the way back."
    )

    @model_validator(mode="after")
    def _some_door(self) -> Arrival:
        kids = [key.kid for key in self.keys]
        if len(kids) != len(set(kids)):
            raise wrong_at("keys", "two keys have the same kid")
        if not self.keys and not self.card_and_pin:
            raise wrong_at("card_and_pin", "without a key and without card and PIN, no patron can come in")
        return self


class Method(Table):
    """``[[libraries.x.methods]]``: one way to pay."""

    method: str = Field(description="What the payer chooses: card or instant_bank_transfer.")
    provider: str = Field(description="Name of the provider's table below [libraries.x.providers].")
    minimum_amount: str = Field(
        "0.00", pattern=r"^\d+(\.\d+)?$", description="Smallest sum for this method, e.g. 1.00."
    )

    @field_validator("method")
    @classmethod
    def _living(cls, value: str) -> str:
        if value in GONE_METHODS:
            raise ValueError(GONE_METHODS[value])
        return value


class FeeKind(Table):
    """``[libraries.x.fee_kinds.CODE]``: the name of a fee kind (Koha: debit type) and where it is booked."""

    label: Text | None = Field(None, description="What the patron reads; else the library system's own text.")
    cost_centre: str = Field("", description="Cost centre (Kostenstelle, Haushaltsstelle) for the books.")
    account: str = Field("", description="Account (Sachkonto, Objektnummer) for the books.")


class NotPayable(Table):
    """``[[libraries.x.not_payable]]``: fees that cannot be paid online, and what the patron reads then.

    All conditions of one rule must hold; the first rule that fits counts.
    """

    kind: str | None = Field(None, description="Fee kind (Koha: debit type), e.g. LOST.")
    status: str | None = Field(None, description="Status of the fee in the library system.")
    older_than_days: int | None = Field(None, ge=0, description="Fees that are older than so many days.")
    text: Text = Field(
        description='Why, and what to do, e.g. "Handed over to the city treasury: please pay there."'
    )

    @model_validator(mode="after")
    def _some_condition(self) -> NotPayable:
        if self.kind is None and self.status is None and self.older_than_days is None:
            raise ValueError("name a kind, a status or older_than_days; otherwise nothing could be paid")
        return self


class Contact(Table):
    """``[libraries.x.contact]``: shown on every page."""

    phone: str = Field(min_length=3, description="Telephone number.")
    mail: str = Field(pattern=MAIL, description="Mail address for patrons.")
    hours: Text = Field(description="Opening hours.")


class Pages(Table):
    """``[libraries.x.pages]``: what every page links to, and how it looks."""

    imprint_url: str = Field(pattern=WEB, description="Address of the imprint (Impressum).")
    privacy_url: str = Field(pattern=WEB, description="Address of the privacy information for this service.")
    accessibility_url: str = Field(pattern=WEB, description="Address of the accessibility statement.")
    accent: str = Field("#0b5394", pattern=r"^#[0-9a-fA-F]{6}$", description="Accent colour.")
    logo: str | None = Field(None, description="File with the logo (SVG or PNG, at most 100 kB).")


class Receipt(Table):
    """``[libraries.x.receipt]``: what stands on the receipt."""

    authority: str = Field(description="The authority that takes the money, e.g. Stadt Herrenberg.")
    address: tuple[str, ...] = Field(min_length=1, description="Its address, one line each.")
    tax_note: Text = Field(
        {
            "de": "Gebühr nach öffentlichem Recht; keine Umsatzsteuer.",
            "en": "Fee under public law; no VAT is charged.",
        },
        description="The tax note on the receipt.",
    )


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


class Settle(Table):
    """``[libraries.x.settle]``: patience of the settle protocol."""

    quarantine_minutes: int = Field(
        15,
        ge=1,
        le=1440,
        description="Wait after an unclear answer; longer than the library system may be late.",
    )
    give_up_days: int = Field(
        4, ge=4, le=60, description="For how long a settle that cannot be done is tried again."
    )

    @property
    def quarantine(self) -> timedelta:
        """Return the wait after an unclear answer."""
        return timedelta(minutes=self.quarantine_minutes)


class Library(Table):
    """``[libraries.KEY]``: one library."""

    name: str = Field(min_length=1, description="Name of the library, as patrons know it.")
    currency: str = Field("EUR", description="ISO 4217 code.")
    languages: tuple[Literal["de", "en"], ...] = Field(
        ("de", "en"), min_length=1, description="Languages; first = default."
    )
    time_zone: str = Field(
        "Europe/Berlin", description="Time zone for dates on pages, receipts and in the books."
    )
    staff_email: str | None = Field(
        None, pattern=MAIL, description="Who is told of cases and of payments that do not settle."
    )
    test_cards: tuple[str, ...] = Field(
        (), description="Card numbers that may pay with a provider's test key."
    )
    growing_fines_payable: bool = Field(
        default=False, description="Whether fines that still grow (item not returned) can be paid online."
    )
    library_system: PluginTable = Field(
        description="The library system: plugin = its name, and the plugin's own keys."
    )
    providers: dict[PlainKey, PluginTable] = Field(
        min_length=1, description="Payment providers; plugin defaults to the key."
    )
    methods: tuple[Method, ...] = Field(min_length=1, description="Ways to pay, in the order of the page.")
    arrival: Arrival = Field(default_factory=Arrival, description="How patrons come in.")
    contact: Contact | None = Field(
        None, description="Shown on every page; live mode refuses to start without it."
    )
    pages: Pages | None = Field(None, description="Links and looks; live mode refuses to start without it.")
    receipt: Receipt | None = Field(
        None, description="Texts of the receipt; live mode refuses to start without it."
    )
    fee_kinds: dict[str, FeeKind] = Field(
        default_factory=dict, description="Labels and accounts by fee kind."
    )
    not_payable: tuple[NotPayable, ...] = Field((), description="Fees that cannot be paid online.")
    settle: Settle = Field(default_factory=Settle, description="Patience of the settle protocol.")

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        try:
            minor_digits(value)
        except MoneyError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value} is no time zone; write it like Europe/Berlin")
        return value

    @field_validator("providers", mode="before")
    @classmethod
    def _plugin_is_the_key(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the administrator wrote
        if not isinstance(value, dict):
            return value
        return {
            key: {"plugin": key, **table} if isinstance(table, dict) else table
            for key, table in value.items()
        }

    @model_validator(mode="after")
    def _methods_can_be_offered(self) -> Library:
        seen: set[str] = set()
        for number, method in enumerate(self.methods):
            here = f"methods.{number}"
            if method.provider not in self.providers:
                known = ", ".join(sorted(self.providers))
                raise wrong_at(f"{here}.provider", f"no provider {method.provider!r} here, only: {known}")
            if method.method in seen:
                raise wrong_at(f"{here}.method", f"the method {method.method!r} stands twice in methods")
            seen.add(method.method)
            try:
                parse(method.minimum_amount, self.currency)
            except MoneyError as error:
                raise wrong_at(f"{here}.minimum_amount", str(error)) from None
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone as an object."""
        return ZoneInfo(self.time_zone)


class Settings(Table):
    """The whole configuration file."""

    server: Server
    mail: Mail | None = None
    libraries: dict[PlainKey, Library] = Field(min_length=1)

    def plugin_names(self) -> set[str]:
        """Return the names of all plugins that the configuration uses."""
        systems = {library.library_system.plugin for library in self.libraries.values()}
        return systems | {
            table.plugin for library in self.libraries.values() for table in library.providers.values()
        }
