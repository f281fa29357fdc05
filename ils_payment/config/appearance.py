"""The tables of a library's configuration that say what patrons read."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from ils_payment.config.fields import MAIL, WEB, Table, Text

LOGO_BYTES = 25_000


class FeeKind(Table):
    """``[libraries.x.fee_kinds.CODE]``: the name of a fee kind (Koha: debit type) and where it is booked."""

    label: Text | None = Field(
        None,
        description="What the patron reads; else the library system's own text.",
        examples=[{"de": "Säumnisgebühr", "en": "Late fee"}],
    )
    cost_centre: str = Field("", description="Cost centre (Kostenstelle, Haushaltsstelle) for the books.")
    account: str = Field("", description="Account (Sachkonto, Objektnummer) for the books.")
    tax_code: str = Field("", description="Tax code (Steuerschlüssel) of your treasury.")


class NotPayable(Table):
    """``[[libraries.x.not_payable]]``: fees that cannot be paid online, and what the patron reads then.

    All conditions of one rule must hold; the first rule that fits counts.
    """

    kind: str | None = Field(None, description="Fee kind (Koha: debit type), e.g. LOST.", examples=["LOST"])
    status: str | None = Field(
        None, description="Status of the fee in the library system.", examples=["UNRETURNED"]
    )
    older_than_days: int | None = Field(
        None, ge=0, description="Fees that are older than so many days.", examples=[365]
    )
    text: Text = Field(
        description='Why, and what to do, e.g. "Handed over to the city treasury: please pay there."',
        examples=[
            {
                "de": "An die Stadtkasse abgegeben: bitte dort zahlen.",
                "en": "Handed over to the city treasury: please pay there.",
            }
        ],
    )

    @model_validator(mode="after")
    def _some_condition(self) -> NotPayable:
        if self.kind is None and self.status is None and self.older_than_days is None:
            raise ValueError("name a kind, a status or older_than_days; otherwise nothing could be paid")
        return self


class Contact(Table):
    """``[libraries.x.contact]``: shown on every page."""

    phone: str = Field(min_length=3, description="Telephone number.", examples=["+49 7032 12345"])
    mail: str = Field(
        pattern=MAIL, description="Mail address for patrons.", examples=["info@library.example"]
    )
    hours: Text = Field(
        description="Opening hours.", examples=[{"de": "Di-Sa 10-18 Uhr", "en": "Tue-Sat 10 am to 6 pm"}]
    )


class Pages(Table):
    """``[libraries.x.pages]``: what every page links to, and how it looks."""

    imprint_url: str = Field(
        pattern=WEB,
        description="Address of the imprint (Impressum).",
        examples=["https://www.library.example/imprint"],
    )
    privacy_url: str = Field(
        pattern=WEB,
        description="Address of the privacy information for this service.",
        examples=["https://www.library.example/privacy"],
    )
    accessibility_url: str = Field(
        pattern=WEB,
        description="Address of the accessibility statement.",
        examples=["https://www.library.example/accessibility"],
    )
    accent: str = Field("#0b5394", pattern=r"^#[0-9a-fA-F]{6}$", description="Accent colour.")
    logo: str | None = Field(
        None,
        description="File with the logo (SVG or PNG, at most 25 kB: every page carries it).",
        examples=["/etc/ils-payment/logo.svg"],
    )

    @field_validator("logo")
    @classmethod
    def _small_picture(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = Path(value)
        if path.suffix.lower() not in {".svg", ".png"}:
            raise ValueError("the logo must be an SVG or PNG file; save it as one of these")
        if not path.is_file():
            raise ValueError(f"there is no file {value}; correct the path, or put the logo there")
        if path.stat().st_size > LOGO_BYTES:
            raise ValueError("the logo is larger than 25 kB; save it smaller, or as SVG")
        return value


class Receipt(Table):
    """``[libraries.x.receipt]``: what stands on the receipt."""

    authority: str = Field(
        description="The authority that takes the money, e.g. Stadt Herrenberg.", examples=["Town of Example"]
    )
    address: tuple[str, ...] = Field(
        min_length=1,
        description="Its address, one line each.",
        examples=[["Library Street 1", "12345 Example"]],
    )
    tax_note: Text = Field(
        description="What your authority states about tax; ask those who answer for it.",
        examples=[
            {
                "de": "Gebühr nach öffentlichem Recht; keine Umsatzsteuer.",
                "en": "Fee under public law; no VAT is charged.",
            }
        ],
    )
