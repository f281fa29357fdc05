"""``[libraries.x]``: one library with its plugins, methods, ways in, and patience."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from ils_payment.config.appearance import Contact, FeeKind, NotPayable, Pages, Receipt
from ils_payment.config.fields import MAIL, WEB, PlainKey, PluginTable, Table, wrong_at
from ils_payment.config.renewal import Reminders, Renewal
from ils_payment.money import MoneyError, as_configured, minor_digits, parse
from ils_payment.secret import Secret

GONE_METHODS = {
    "giropay": "giropay was shut down at the end of 2024; use instant_bank_transfer",
    "sofort": "Sofort was discontinued in March 2025; use instant_bank_transfer",
    "paydirekt": "paydirekt was shut down with giropay; use instant_bank_transfer",
}


class Key(Table):
    """One hand-over key that the OPAC signs with."""

    kid: str = Field(
        min_length=1, description="Name of the key, written in the token's header.", examples=["opac-1"]
    )
    secret: Secret = Field(
        description="The shared secret, at least 32 characters.", examples=[{"env": "OPAC_SECRET"}]
    )

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
        default=True,
        description="Whether patrons may also sign in here with card number and PIN, "
        "where the library system can look these up.",
    )
    opac_url: str | None = Field(
        None,
        pattern=WEB,
        description="Address of the OPAC account, for the way back.",
        examples=["https://opac.library.example"],
    )

    @model_validator(mode="after")
    def _some_door(self) -> Arrival:
        kids = [key.kid for key in self.keys]
        if len(kids) != len(set(kids)):
            raise wrong_at("keys", "two keys have the same kid; name one of them otherwise")
        if not self.keys and not self.card_and_pin:
            raise wrong_at(
                "card_and_pin",
                "without a key and without card and PIN, no patron can come in; remove this line, or add "
                "keys (docs/handing-over.md)",
            )
        return self


class Method(Table):
    """``[[libraries.x.methods]]``: one way to pay."""

    method: str = Field(
        description="What the payer chooses: card, instant_bank_transfer, or payment_page where only "
        "the provider's page asks.",
        examples=["card"],
    )
    provider: str = Field(description="Name of the provider's table below [libraries.x.providers].")
    minimum_amount: str = Field(
        "0.00", description="Smallest sum for this method, e.g. 1.00.", examples=["1.00"]
    )

    @field_validator("method")
    @classmethod
    def _living(cls, value: str) -> str:
        if value in GONE_METHODS:
            raise ValueError(GONE_METHODS[value])
        return value

    @field_validator("minimum_amount")
    @classmethod
    def _amount(cls, value: str) -> str:
        return as_configured(value)


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


class Retention(Table):
    """``[libraries.x.retention]``: how long private data of payments are kept."""

    months: int = Field(
        14,
        ge=1,
        le=120,
        description="So many months after the last thing that happened to a payment, its private data go.",
    )

    @property
    def span(self) -> timedelta:
        """Return the time for which they are kept; a month counts as 31 days."""
        return timedelta(days=31 * self.months)


class Export(Table):
    """``[libraries.x.export]``: where the treasury books what no fee kind says."""

    fee_cost_centre: str = Field("", description="Cost centre of what the provider keeps (rows fee).")
    fee_account: str = Field("", description="Account of what the provider keeps (rows fee).")
    payout_account: str = Field(
        "",
        description="Account of money on its way from the provider to the bank (rows paid_out and payout).",
    )


class Library(Table):
    """``[libraries.KEY]``: one library."""

    name: str = Field(
        min_length=1, description="Name of the library, as patrons know it.", examples=["Town Library"]
    )
    currency: str = Field("EUR", description="ISO 4217 code.")
    languages: tuple[Literal["de", "en"], ...] = Field(
        ("de", "en"), min_length=1, description="Languages; first = default."
    )
    time_zone: str = Field(
        "Europe/Berlin",
        description="Time zone for dates on pages, receipts and in the books; fixed by the first export.",
    )
    staff_email: str | None = Field(
        None,
        pattern=MAIL,
        description="Who is told of cases and of payments that do not settle.",
        examples=["staff@library.example"],
    )
    test_cards: tuple[str, ...] = Field(
        (), description="Card numbers that may pay with a provider's test key.", examples=[["23529000000001"]]
    )
    growing_fines_payable: bool = Field(
        default=False, description="Whether fines that still grow (item not returned) can be paid online."
    )
    library_system: PluginTable = Field(
        description="The library system: plugin = its name, and the plugin's own keys."
    )
    patrons_known_as: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Former name of the library system after a change of its address; check tells it.",
        examples=["https://koha.library.example/api/v1"],
    )
    providers: dict[PlainKey, PluginTable] = Field(
        min_length=1, description="Payment providers; plugin defaults to the key."
    )
    elending: dict[PlainKey, PluginTable] = Field(
        default_factory=dict,
        description="Platforms for eLending, such as the Onleihe; plugin defaults to the key.",
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
    tariff: str | None = Field(
        None,
        description="File with the tariff: what cards and fees cost (docs/tariff.md).",
        examples=["/etc/ils-payment/tariff.toml"],
    )
    settle: Settle = Field(default_factory=Settle, description="Patience of the settle protocol.")
    renewal: Renewal = Field(default_factory=Renewal, description="How library cards are renewed.")
    reminders: Reminders = Field(default_factory=Reminders, description="Mails before a card ends.")
    export: Export = Field(
        default_factory=Export, description="Accounts of the rows of the export that no fee kind has."
    )
    retention: Retention = Field(
        default_factory=Retention, description="How long private data of payments are kept."
    )
    two_persons_from: str = Field(
        "0.00", description="From this amount on a refund needs a second person's approval."
    )

    @field_validator("two_persons_from")
    @classmethod
    def _amount(cls, value: str) -> str:
        return as_configured(value)

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

    @field_validator("providers", "elending", mode="before")
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
                raise wrong_at(
                    f"{here}.provider", f"no provider {method.provider!r} here; name one of these: {known}"
                )
            if method.method in seen:
                raise wrong_at(
                    f"{here}.method", f"the method {method.method!r} stands twice; remove one of the two"
                )
            seen.add(method.method)
            self._must_be_cents(f"{here}.minimum_amount", method.minimum_amount)
        self._must_be_cents("two_persons_from", self.two_persons_from)
        return self

    def _must_be_cents(self, where: str, amount: str) -> None:
        try:
            parse(amount, self.currency)
        except MoneyError as error:
            raise wrong_at(where, str(error)) from None

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone as an object."""
        return ZoneInfo(self.time_zone)
