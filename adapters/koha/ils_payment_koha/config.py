"""What an administrator configures for Koha, with a mend in every message."""

from __future__ import annotations

from string import Formatter
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ils_payment.model import ChargePurpose
from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback

_REGISTER_TYPES = ("CASH", "SIP00")
"""With the system preference UseCashRegisters Koha answers 500 to these (seen on 23.05.04 for CASH)."""


_NO_COUNTER_DEBITS = {
    "OVERDUE": "Koha marks it as the fine of an item that is still out",
    "PAYOUT": "Koha takes it for money that the library has paid out",
    "VOID": "Koha takes it for a credit that was cancelled",
}
"""Debit types that Koha takes from anybody but that mean something else there (read in the code)."""


class KohaConfig(PluginConfig):
    """The table ``[libraries.<key>.library_system]`` of a library with Koha."""

    url: str = Field(
        description="Address of Koha's REST API, such as https://koha.example.org/api/v1. "
        "The host name of the staff interface or of the OPAC will do.",
        examples=["https://koha.library.example/api/v1"],
    )
    client_id: str | None = Field(
        default=None,
        description="Client id of the API key that was made for the service patron in Koha.",
        examples=["00000000-0000-0000-0000-000000000000"],
    )
    client_secret: Secret | None = Field(
        default=None, description="Secret of that API key.", examples=[{"env": "KOHA_CLIENT_SECRET"}]
    )
    username: str | None = Field(
        default=None, description="Instead of an API key: user name of the service patron (HTTP Basic)."
    )
    password: Secret | None = Field(default=None, description="Password that belongs to username.")
    library_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=10,
        description="Code of the Koha library (branch) that credits are booked for. Without it, Koha books "
        "them for no library.",
    )
    payment_type: str = Field(
        default="ONLINE",
        min_length=1,
        max_length=80,
        description="Payment type of the credits: an authorised value of Koha's category PAYMENT_TYPE.",
    )
    payment_types: dict[str, str] = Field(
        default_factory=dict,
        description='Payment type for single methods, such as { card = "ONLCARD" }; others get payment_type.',
    )
    description: str = Field(
        default="Online bezahlt ({method}), Beleg {marker}",
        min_length=1,
        max_length=200,
        description="Text of the credit as patrons see it in the OPAC; {method} and {marker} are filled in.",
    )
    method_names: dict[str, str] = Field(
        default={"card": "Karte", "instant_bank_transfer": "Überweisung"},
        description="What {method} says for each method; the method's own code where none is given.",
    )
    charge_type: str = Field(
        default="MANUAL",
        min_length=1,
        max_length=80,
        description="Debit type of what a patron owes again after a refund whose fee stays.",
    )
    charge_types: dict[str, str] = Field(
        default_factory=dict,
        description='The same for single kinds of fees, such as { LOST = "LOST" }; others get charge_type.',
    )
    charge_description: str = Field(
        default="Nach Erstattung wieder offen (bezahlt war mit Beleg {settled_with}), Beleg {marker}",
        min_length=1,
        max_length=200,
        description="Text of that debit as patrons see it in the OPAC; {settled_with} (the receipt of the "
        "payment that was refunded) and {marker} are filled in.",
    )
    renew: bool = Field(
        default=False,
        description="Let the program write the new expiry of a card when its renewal was paid. Needs Koha's "
        "whole right borrowers, so it is off until you choose it; see docs/koha.md.",
    )
    renewal_charge_type: str = Field(
        default="ACCOUNT_RENEW",
        min_length=1,
        max_length=80,
        description="Debit type of the fee of a renewed card, which is charged and settled once it was paid.",
    )
    renewal_charge_description: str = Field(
        default="Verlängerung des Ausweises, bezahlt mit Beleg {settled_with}",
        min_length=1,
        max_length=200,
        description="Text of that debit as patrons see it in the OPAC; {settled_with} (the receipt of the "
        "payment) and {marker} are filled in.",
    )
    category_fees: bool = Field(
        default=False,
        description="Compare the tariff with the fees of Koha's patron categories. Only newer versions show "
        "them over the API (26.02 does, 23.05 does not).",
    )
    evidence_attribute: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Code of the patron attribute in which the desk writes until when evidence for a reduced "
        "fee is good, such as 2027-03-31 or 31.03.2027. Without it, cards that need evidence until a day are "
        "renewed at the desk.",
    )
    titles: bool = Field(
        default=True, description="Show the titles of the items behind fees (needs the right catalogue)."
    )
    sign_in: bool = Field(
        default=True,
        description="Let patrons sign in with card number and password. Needs Koha's whole right borrowers; "
        "where the OPAC hands patrons over, false is safer.",
    )
    stop_after_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Koha's count of wrong passwords at which it is not asked about a patron any more; a "
        "right one in the OPAC starts it anew. Keep it below Koha's FailedLoginAttempts.",
    )
    deadline_seconds: float = Field(
        default=20.0, ge=2.0, le=20.0, description="Longest time that one call to Koha may take, in seconds."
    )
    late_apply_minutes: int = Field(
        default=15,
        ge=1,
        le=1440,
        description="How long a call that seemed lost may still take effect in Koha; longer than any proxy "
        "in between waits.",
    )
    clock_tolerance_seconds: int = Field(
        default=2,
        ge=0,
        le=60,
        description="How far Koha's clock may be behind ours when recent credits are looked for.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        """Accept https (http on this machine only) that ends in /api/v1, and nothing behind it."""
        url = value.strip().rstrip("/")
        parts = urlsplit(url)
        example = "write it like https://koha.example.org/api/v1"
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"this is no web address; {example}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("name and password must not stand in the address; use username and password")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError(f"Koha must be reached by https, or card data travels in clear; {example}")
        if parts.query or parts.fragment or not parts.path.endswith("/api/v1"):
            raise ValueError(f"the address must end in /api/v1; {example}")
        return url

    @field_validator("description")
    @classmethod
    def _check_description(cls, value: str) -> str:
        return _fillable(value, "method", "marker")

    @field_validator("charge_description", "renewal_charge_description")
    @classmethod
    def _check_charge_description(cls, value: str) -> str:
        return _fillable(value, "settled_with", "marker")

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        """Demand one complete pair of credentials, and not both."""
        pairs = {
            "client_id and client_secret": (self.client_id, self.client_secret),
            "username and password": (self.username, self.password),
        }
        given = [name for name, pair in pairs.items() if any(pair)]
        if len(given) != 1 or not all(pairs[given[0]]):
            raise ValueError(
                "either client_id and client_secret, or username and password must be there; add what is "
                "missing, and leave the other pair away"
            )
        # A colon would end the name inside of an HTTP Basic header.
        if self.username is not None and ":" in self.username:
            raise ValueError("username must not contain a colon; HTTP Basic cannot carry it")
        return self

    @model_validator(mode="after")
    def _check_payment_types(self) -> Self:
        """Refuse the payment types for which Koha demands a cash register, which its API cannot name."""
        for kind in (self.payment_type, *self.payment_types.values()):
            if not kind.strip() or kind in _REGISTER_TYPES:
                raise ValueError(
                    f"the payment type {kind!r} cannot be used: Koha may demand a cash register for it; make "
                    "one of your own under Administration > Authorized values > PAYMENT_TYPE"
                )
        return self

    @model_validator(mode="after")
    def _check_charge_types(self) -> Self:
        """Refuse the debit types that would mean something else in Koha."""
        for kind in (self.charge_type, *self.charge_types.values(), self.renewal_charge_type):
            if kind in _NO_COUNTER_DEBITS or not kind.strip():
                why = _NO_COUNTER_DEBITS.get(kind, "it has no name")
                raise ValueError(
                    f"the debit type {kind!r} cannot be used for what is owed again or for a renewed card: "
                    f"{why}; take MANUAL (or ACCOUNT_RENEW), or one of your own from Administration > Debit "
                    "types"
                )
        return self

    def payment_type_of(self, method: str) -> str:
        """Return the payment type for *method*."""
        return self.payment_types.get(method, self.payment_type)

    def debit_type_of(self, kind: str, purpose: ChargePurpose) -> str:
        """Return the debit type for a renewed card, or for a fee of *kind* that is owed again."""
        if purpose is ChargePurpose.RENEWAL:
            return self.renewal_charge_type
        return self.charge_types.get(kind, self.charge_type)

    def charge_text(self, purpose: ChargePurpose) -> str:
        """Return the text of a debit, its placeholders not yet filled in."""
        is_renewal = purpose is ChargePurpose.RENEWAL
        return self.renewal_charge_description if is_renewal else self.charge_description

    def description_of(self, method: str, marker: str) -> str:
        """Return the text of the credit for *method* and *marker*."""
        return self.description.format(method=self.method_names.get(method, method), marker=marker)


def _fillable(text: str, *names: str) -> str:
    """Refuse a placeholder that could not be filled in when money has to be booked."""
    allowed = " and ".join(f"{{{name}}}" for name in names)
    mend = f"only {allowed} can be filled in; correct the name, or double a brace that is to be read: {{{{"
    try:
        fields = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(mend) from None
    for _, name, spec, conversion in fields:
        if name is not None and (name not in names or spec or conversion):
            raise ValueError(mend)
    return text
