"""The bodies of the API. Money is a whole number of cents with its currency, instants are UTC (ISO 8601)."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ils_payment.web.handover import MAX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.views import (
        CardView,
        ELendingView,
        FeeLine,
        FeesView,
        PaidLine,
        PaymentView,
        RenewalView,
    )
    from ils_payment.model import ContactData

_Texts = Annotated[
    dict[str, str], Field(description="A text by language code.", examples=[{"de": "Säumnisgebühr"}])
]
_Cents = Annotated[int, Field(description="Whole cents (minor units).", examples=[1250])]
_Currency = Annotated[str, Field(description="ISO 4217.", examples=["EUR"])]
_Key = Annotated[str, Field(min_length=1, max_length=100, description="The `key` of a fee.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenIn(_Body):
    """A hand-over token, as described for the OPAC's link."""

    token: str = Field(
        min_length=1, max_length=MAX_LENGTH, examples=["eyJhbGciOiJIUzI1NiIsImtpZCI6Im9wYWMtMSJ9.e30.c2ln"]
    )


class SessionOut(_Body):
    """A session. It ends after ten minutes without a call, and at `expires_at` in any case."""

    access_token: str = Field(description="Send it as `Authorization: Bearer ...`. Keep it on your server.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the kind of a token, not a token
    expires_at: datetime
    idle_seconds: int = Field(examples=[600])


class FeeOut(_Body):
    """One open fee. `reason` says why it cannot be paid online; `running` names the payment that holds it."""

    key: str = Field(description="Name it when you start a payment.", examples=["4711"])
    kind: str = Field(description="The library system's code.", examples=["OVERDUE"])
    label: _Texts | None
    text: str
    title: str | None
    cents: _Cents
    since: date | None
    payable: bool
    reason: _Texts | None
    running: str | None

    @classmethod
    def of(cls, line: FeeLine) -> FeeOut:
        """Show one line."""
        return cls(
            key=line.key,
            kind=line.kind,
            label=line.label,
            text=line.text,
            title=line.title,
            cents=line.cents,
            since=line.since,
            payable=line.payable,
            reason=line.reason,
            running=line.running,
        )


class MethodOut(_Body):
    """One way to pay, and the smallest sum for it."""

    method: str = Field(examples=["card", "instant_bank_transfer"])
    minimum_cents: _Cents


class FeesOut(_Body):
    """The open fees as the library system knows them now. No payment may exceed `limit_cents`."""

    currency: _Currency
    fees: list[FeeOut]
    open_credit: _Cents
    payable_cents: _Cents
    limit_cents: _Cents
    methods: list[MethodOut]
    running: list[str] = Field(description="Payments that are running.")
    paused: bool = Field(description="No new payments are accepted at the moment.")
    test_mode: bool = Field(description="No real money moves.")
    whole: bool = Field(
        description="The library system names no single fees: one line stands for all of them."
    )
    read_at: datetime

    @classmethod
    def of(cls, view: FeesView) -> FeesOut:
        """Show the fees."""
        return cls(
            currency=view.currency,
            fees=[FeeOut.of(line) for line in view.lines],
            open_credit=view.open_credit,
            payable_cents=view.payable_cents,
            limit_cents=view.limit_cents,
            methods=[MethodOut(method=one.method, minimum_cents=one.minimum_cents) for one in view.methods],
            running=[payment.payment_id for payment in view.running],
            paused=view.paused,
            test_mode=view.test_mode,
            whole=view.whole,
            read_at=view.read_at,
        )


class QuoteOut(_Body):
    """What renewing the card costs now, and until when it is valid then."""

    cents: _Cents
    until: date
    label: _Texts


class ContactOut(_Body):
    """Where the library reaches the patron. Show it, let it be confirmed, keep nothing of it."""

    name: str
    address: list[str]
    email: str | None
    phone: str | None


class CardOut(_Body):
    """The library card. `quote` says what renewing it costs, or `why_not` why it cannot be renewed here.

    `contact` is there where the library wants it confirmed before a renewal; `running` names the payment
    that renews the card already; `fees_first`: only together with all open fees.
    """

    number: str | None
    valid_until: date | None
    expired: bool
    currency: _Currency
    quote: QuoteOut | None
    why_not: _Texts | None
    why_not_code: str | None = Field(examples=["too_early"])
    renewable_from: date | None
    running: str | None
    fees_first: bool
    contact: ContactOut | None

    @classmethod
    def of(cls, view: CardView, contact: ContactData | None) -> CardOut:
        """Show the card."""
        quote, why_not = view.quote, view.why_not
        return cls(
            number=view.number,
            valid_until=view.valid_until,
            expired=view.expired,
            currency=view.currency,
            quote=QuoteOut(cents=quote.cents, until=quote.until, label=dict(quote.label)) if quote else None,
            why_not=dict(why_not.text) if why_not else None,
            why_not_code=why_not.code if why_not else None,
            renewable_from=why_not.from_day if why_not else None,
            running=view.running,
            fees_first=view.fees_first,
            contact=ContactOut(
                name=contact.name,
                address=list(contact.address),
                email=contact.email,
                phone=contact.phone,
            )
            if contact
            else None,
        )


class PaymentIn(_Body):
    """What the patron has confirmed: these fees, the card renewed until this day, this sum, this way to pay.

    A renewal that costs nothing, alone, has `cents` 0, and any `method` will do.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"fees": ["4711", "4712"], "cents": 1250, "currency": "EUR", "method": "card"},
                {"renew_until": "2027-11-21", "cents": 1000, "currency": "EUR", "method": "card"},
            ]
        },
    )

    fees: list[_Key] = Field(default_factory=list, max_length=200)
    renew_until: date | None = Field(None, description="`quote.until` of the card, to renew it as well.")
    contact_confirmed: bool = Field(
        default=False, description="The patron has confirmed the card's `contact`, where it is there."
    )
    cents: int = Field(
        ge=0, le=99_999_999, strict=True, description="The sum that the patron saw, in whole cents."
    )
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217; must be the library's.")
    method: str = Field(min_length=1, max_length=60)
    language: Literal["de", "en"] | None = Field(None, description="Language of the payment page.")


class BegunOut(_Body):
    """The payment is waiting: send the patron's browser to `redirect_url`, by a redirect, not in a frame."""

    payment_id: str
    redirect_url: str = Field(examples=["https://checkout.stripe.com/c/pay/cs_live_a1b2"])


class RenewalOut(_Body):
    """The card renewal of a payment. `until` is the card's once `state` is `renewed`."""

    until: date
    before: date | None
    state: Literal["due", "tried", "again", "renewed", "given_up"]
    cents: _Cents

    @classmethod
    def of(cls, view: RenewalView) -> RenewalOut:
        """Show the renewal."""
        state: Any = view.state
        return cls(until=view.until, before=view.base, state=state, cents=view.cents)


class PlatformOut(_Body):
    """What an eLending platform said after a payment. Say "open" only if `asked` is true."""

    name: str = Field(examples=["Onleihe"])
    verdict: Literal["open", "blocked", "cannot_tell"]
    asked: bool
    looking: bool = Field(description="It is still being asked.")
    hindrances: list[_Texts] = Field(description="What still blocks, in plain words.")

    @classmethod
    def of(cls, view: ELendingView) -> PlatformOut:
        """Show one platform."""
        return cls(
            name=view.name,
            verdict=view.verdict.value,
            asked=view.asked,
            looking=view.looking,
            hindrances=[dict(one.text) for one in view.hindrances if one.text],
        )


class LineOut(_Body):
    """One fee of a payment; texts are null after they were erased."""

    kind: str
    label: _Texts | None
    text: str | None
    cents: _Cents

    @classmethod
    def of(cls, line: PaidLine) -> LineOut:
        """Show one line."""
        return cls(kind=line.kind, label=line.label, text=line.text, cents=line.cents)


class PaymentOut(_Body):
    """Where a payment stands.

    `settled` is the end: the library system knows it. `paid`, `settling` and `unknown` mean that the money is
    there and is being booked. `held`: a person at the library looks at it.
    """

    payment_id: str
    number: str = Field(description="What patron and library call it; it stands on the receipt.")
    state: Literal["created", "open", "pending", "void", "paid", "settling", "unknown", "settled", "resolved"]
    void_reason: str | None
    held: bool
    cents: _Cents
    currency: _Currency
    method: str
    lines: list[LineOut]
    created_at: datetime
    paid_at: datetime | None
    settled_at: datetime | None
    receipt_number: str | None
    can_cancel: bool
    continue_url: str | None = Field(description="Where the patron can go on paying.")
    test: bool
    given_back_cents: int = Field(description="What has left again, or is on its way back to the payer.")
    renewal: RenewalOut | None
    elending: list[PlatformOut] = Field(description="What works again; empty until the payment is settled.")

    @classmethod
    def of(cls, view: PaymentView, platforms: Sequence[ELendingView] = ()) -> PaymentOut:
        """Show a payment."""
        return cls(
            payment_id=view.payment_id,
            number=view.number,
            state=view.state.value,
            void_reason=view.void_reason,
            held=view.held,
            cents=view.cents,
            currency=view.currency,
            method=view.method,
            lines=[LineOut.of(line) for line in view.lines],
            created_at=view.created_at,
            paid_at=view.paid_at,
            settled_at=view.settled_at,
            receipt_number=view.receipt_number,
            can_cancel=view.can_cancel,
            continue_url=view.continue_url,
            test=view.test,
            given_back_cents=sum(one.cents for one in view.given_back),
            renewal=RenewalOut.of(view.renewal) if view.renewal else None,
            elending=[PlatformOut.of(one) for one in platforms],
        )


class PaymentsOut(_Body):
    """The patron's payments, the newest first."""

    payments: list[PaymentOut]


class ProblemOut(BaseModel):
    """An error (RFC 9457). `code` is what a program looks at."""

    model_config = ConfigDict(extra="allow")

    type: Literal["about:blank"]
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    code: str = Field(examples=["changed"])
    detail: str | None = None
    payment_id: str | None = Field(None, description="The running payment (code `already_running`).")


def problems(**codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of error answers: ``s409="changed, ..."`` for each status."""
    return {
        int(status[1:]): {
            "description": f"`code`: {text}",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
        }
        for status, text in codes.items()
    }
