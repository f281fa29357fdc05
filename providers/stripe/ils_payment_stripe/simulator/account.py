"""The simulated Stripe account: what is switched on in its dashboard, and which keys open it."""

from __future__ import annotations

from dataclasses import dataclass, field

ENDIVE = "2026-10-28.endive"
"""The only API version that is imitated; requests that name another one are counted in the truth."""

# Currencies that a method can be paid in (pay_by_bank: documented; Klarna: only those near the library).
CURRENCIES_OF = {
    "pay_by_bank": ("eur", "gbp"),
    "klarna": ("eur", "gbp", "usd", "chf"),
    "sepa_debit": ("eur",),
    "eps": ("eur",),
    "ideal": ("eur",),
    "bancontact": ("eur",),
}


@dataclass(kw_only=True)
class SimulatedAccount:
    """Switches that a test may turn at any time.

    ``enabled_methods``: methods that the dashboard has switched on; everything else is dropped
    silently from what a session allows. ``preview_methods``: words beyond the published
    enumeration that this account may name (``wero`` is one in autumn 2026).
    ``adaptive_pricing``: the dashboard's default, which a session may switch off.
    ``card_descriptor_allowed``: whether a whole ``statement_descriptor`` passes although the
    session offers cards. The SDK's text says that it "returns an error" for a card charge; at
    which step is unverified, here it is refused when the session is made.
    ``keys``: restricted keys with their rights, e.g. ``{"rk_test_x": {"checkout_sessions:write"}}``.
    ``minimum_cents``: smallest sum in EUR. ``pending_refunds``: methods whose refunds take time.
    ``pending_seconds``: how long a pending payment takes that the payer started on the page.
    ``refund_seconds``: after how long a pending refund succeeds by itself (None: never).
    ``fee_base``, ``fee_per_mille``, ``dispute_fee``: what Stripe keeps (made up). ``payout_lag_days``:
    after how many days money is paid out; it arrives on the day after. ``payout_difference``: by how
    much a payout differs from its entries, which Stripe does not do and the core has to notice.
    """

    id: str = "acct_1SimulatedLibrary"
    country: str = "DE"
    currency: str = "eur"
    display_name: str = "Simulierte Stadtbibliothek"
    descriptor: str = "STADTBIBLIOTHEK"
    enabled_methods: tuple[str, ...] = ("card", "pay_by_bank")
    preview_methods: tuple[str, ...] = ()
    adaptive_pricing: bool = True
    card_descriptor_allowed: bool = False
    charges_enabled: bool = True
    keys: dict[str, set[str]] = field(default_factory=dict)
    minimum_cents: int = 50
    pending_refunds: tuple[str, ...] = ("pay_by_bank", "sepa_debit")
    pending_seconds: int = 20
    refund_seconds: int | None = None
    fee_base: int = 25
    fee_per_mille: int = 15
    dispute_fee: int = 2000
    payout_lag_days: int = 2
    payout_difference: int = 0

    def methods_for(self, currency: str, allowed: list[str] | None, excluded: list[str] | None) -> list[str]:
        """Return what the payer will be offered: the rest is dropped without a word, as Stripe does."""
        return [
            method
            for method in self.enabled_methods
            if (allowed is None or method in allowed)
            and method not in (excluded or ())
            and currency in CURRENCIES_OF.get(method, (currency,))
        ]

    def as_object(self, created: int) -> dict[str, object]:
        """Return the account as ``GET /v1/account`` shows it (the parts that a check looks at)."""
        words = {"card": "card_payments"}
        capabilities = {words.get(name, f"{name}_payments"): "active" for name in self.enabled_methods}
        return {
            "id": self.id,
            "object": "account",
            "business_profile": {
                "name": self.display_name,
                "mcc": "9399",
                "url": None,
                "support_phone": None,
            },
            "business_type": "government_entity",
            "capabilities": capabilities,
            "charges_enabled": self.charges_enabled,
            "country": self.country,
            "created": created,
            "default_currency": self.currency,
            "details_submitted": True,
            "email": None,
            "metadata": {},
            "payouts_enabled": True,
            "settings": {
                "card_payments": {"statement_descriptor_prefix": self.descriptor[:10]},
                "dashboard": {"display_name": self.display_name, "timezone": "Europe/Berlin"},
                "payments": {"statement_descriptor": self.descriptor},
            },
            "type": "standard",
        }
