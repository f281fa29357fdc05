"""What the flows tell the pages, the API and the command line: frozen, and nothing to interpret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date, datetime, timedelta

    from ils_payment.domain.tariff import NoQuote, Quote
    from ils_payment.model import Block, Freshness, Hindrance, LocalText, State, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeLine:
    """One open fee as the patron sees it.

    ``key`` is what the form sends back. ``label`` is the configured name of the fee kind or
    None, ``text`` the library system's own words (may be empty). Not payable: ``reason`` says
    why in words for the patron, or ``running`` names the open payment that holds the fee.
    """

    key: str
    kind: str
    label: LocalText | None
    text: str
    title: str | None
    cents: int
    since: date | None
    payable: bool
    reason: LocalText | None = None
    running: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChoice:
    """One way to pay; the smallest sum for it, and whether today's total reaches that."""

    method: str
    minimum_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeesView:
    """The fees page: every open fee, what can be paid, what runs already.

    ``payable_cents`` is what all payable lines together would cost; ``limit_cents`` is the most
    that may be paid (what is owed after open credit). ``paused``: no new payments now. ``whole``: the
    library system gives fees no ids, so one line stands for all of them.
    """

    currency: str
    lines: tuple[FeeLine, ...]
    open_credit: int
    payable_cents: int
    limit_cents: int
    methods: tuple[MethodChoice, ...]
    running: tuple[PaymentView, ...]
    paused: bool
    test_mode: bool
    read_at: datetime
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """The page of the card: until when it is valid, what renewing it costs, or why it cannot be had here.

    ``number`` is for the patron's own eyes. ``running`` names the open payment that renews the card
    already. ``fees_first``: open fees are to be paid before or together with it.
    """

    number: str | None
    valid_until: date | None
    expired: bool
    blocks: tuple[Block, ...]
    currency: str
    quote: Quote | None
    why_not: NoQuote | None
    running: str | None
    fees_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalView:
    """The renewal that a payment pays for. ``state``: due, tried, again, renewed or given_up.

    ``until`` is the expiry that was sold; it is the card's once the state is ``renewed``.
    """

    base: date | None
    until: date
    state: str
    tariff: str
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidLine:
    """One frozen line of a payment; texts are None after they were erased. ``renews``: the card's renewal."""

    kind: str
    label: LocalText | None
    text: str | None
    cents: int
    cost_centre: str
    account: str
    tax_code: str
    renews: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """A payment as pages, API and command line show it.

    ``held``: an open case waits for a person. ``can_cancel``: the provider session may still be
    closed. ``continue_url``: where the payer can go on paying, while that is possible.
    ``number`` is what patron and clerk call it; it is the ``receipt_number`` too, which exists from
    ``paid`` on. ``looking``: the provider is just being asked. ``test``: no money moved.
    ``given_back``: what has left again, or is on its way back to the payer. ``renewal``: the card that
    is renewed with it. A free renewal has ``cents`` 0 and method and provider ``none``.
    """

    payment_id: str
    number: str
    library: str
    state: State
    void_reason: str | None
    held: bool
    cents: int
    currency: str
    method: str
    provider: str
    lines: tuple[PaidLine, ...]
    created_at: datetime
    paid_at: datetime | None
    settled_at: datetime | None
    receipt_number: str | None
    marker: str | None
    can_cancel: bool
    continue_url: str | None
    looking: bool
    test: bool
    given_back: tuple[RefundView, ...] = ()
    renewal: RenewalView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The payment is committed and the provider waits: send the payer to ``url``."""

    payment_id: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotBegun:
    """Nothing was started, nothing is held. ``code`` is one of :data:`NOT_BEGUN`.

    ``payment_id`` names the running payment for ``already_running``.
    """

    code: str
    payment_id: str | None = None


NOT_BEGUN = (
    "nothing_chosen",  # No line was chosen.
    "changed",  # The fees differ from what the patron confirmed: show them again.
    "not_payable",  # A chosen line cannot be paid online (any more).
    "above_balance",  # Open credit makes the chosen sum more than what is owed.
    "below_minimum",  # The sum is below the method's minimum amount.
    "unknown_method",  # The method is not offered.
    "already_running",  # Another open payment holds one of the lines.
    "paused",  # No new payments are accepted now.
    "not_renewable",  # The card cannot be renewed here (any more).
    "fees_first",  # Open fees must be paid before, or together with, the renewal.
    "test_mode",  # Play money only, and this card is not a test card.
    "provider_refused",  # The provider certainly opened no session.
    "provider_unavailable",  # Nobody knows yet whether a session exists; the sweep finds out.
    "library_unavailable",  # The library system does not answer.
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a payment is found in the other systems, for the person who decides a case. Private.

    ``library_system`` is the name of the one that all this is of, which may be a former one; ``patron`` its
    own id (Koha: borrowernumber); both None once erased. ``fees`` are its ids of the fee lines; ``credits``
    the ids of credits it confirmed; ``session`` the provider's session.
    """

    library_system: str | None
    patron: str | None
    fees: tuple[str, ...]
    credits: tuple[str, ...]
    session: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """Something that a person must decide, with codes only; private texts are read separately.

    ``subject`` is what of the payment it is about, where that is not the whole.
    ``payment_id`` and ``state`` are None for what no payment here belongs to; ``cents`` and
    ``currency`` are None where such a case has no amount.
    """

    case_id: str
    payment_id: str | None
    library: str
    kind: str
    subject: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    resolution: str | None
    version: int
    cents: int | None
    currency: str | None
    state: State | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundView:
    """One refund or chargeback.

    ``state`` is one of ``domain.refunds.RefundState``, ``number`` the payment's receipt number,
    ``charge_state`` tells how far the counter-debit is where the fee stays (else ``none``).
    ``reason`` is why somebody asked for it, ``reason_against`` why it was not approved or was taken back:
    private, told to staff only, None after it was erased.
    """

    refund_id: str
    payment_id: str
    library: str
    number: str
    kind: str
    state: str
    meaning: str
    cents: int
    currency: str
    line_ids: tuple[str, ...]
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    ended_at: datetime | None
    case_id: str | None
    charge_state: str
    reason: str | None = None
    reason_against: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ELendingView:
    """What is known of one platform after a payment, for pages.

    ``platform`` is the name of its table, ``name`` what patrons call it. ``looking``: there is no answer
    yet, and it is still being asked. Each hindrance has a text. ``delay`` only where it is delayed.
    """

    platform: str
    name: str
    verdict: Verdict
    asked: bool
    looking: bool
    code: str
    hindrances: tuple[Hindrance, ...]
    as_of: datetime | None
    freshness: Freshness
    delay: timedelta | None
