"""Money is an integer count of minor units ("cents") with an ISO 4217 currency code.

Decimals appear at the edges only: what a remote sends is parsed here, what a remote wants is
made here. Floats are refused everywhere.
"""

import re
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from functools import cache

MAX_CENTS = 99_999_999
"""More than 999,999.99 is never a library fee; a remote that says so is garbled."""


class MoneyError(ValueError):
    """An amount that cannot be expressed exactly in minor units of its currency."""


@cache
def minor_digits(currency: str) -> int:
    """Return how many decimals *currency* (ISO 4217, e.g. ``EUR``) has; raise MoneyError if unknown."""
    # The ISO table comes from stockholm; importing it here keeps the command line's help fast.
    from stockholm import currency as table  # noqa: PLC0415 - see the sentence above

    if not (len(currency) == 3 and currency.isascii() and currency.isupper() and hasattr(table, currency)):
        raise MoneyError(f"{currency!r} is not an ISO 4217 currency code")
    return int(getattr(table, currency).decimal_digits)


def parse(amount: Decimal | int | str, currency: str) -> int:
    """Return *amount* (major units: ``Decimal("12.50")``, ``12``, ``"12.50"``) as minor units.

    Trailing zeros are fine; an amount that needs more decimals than the currency has, a float,
    not-a-number or anything beyond :data:`MAX_CENTS` raises :class:`MoneyError`.
    """
    if isinstance(amount, (bool, float)):
        raise MoneyError("a float or boolean is not an amount")
    try:
        exact = Decimal(amount)
    except InvalidOperation:
        raise MoneyError(f"{amount!r} is not an amount") from None
    if not exact.is_finite():
        raise MoneyError(f"{amount!r} is not an amount")
    if exact.copy_abs() > to_decimal(MAX_CENTS, currency):
        raise MoneyError(f"{amount!r} is beyond what this program handles")
    try:
        # A context of its own: the usual one rounds to 28 digits before anybody could see the rest.
        context = Context(prec=40, traps=[Inexact])
        cents = exact.scaleb(minor_digits(currency), context).to_integral_exact(context=context)
    except DecimalException:
        raise MoneyError(f"{amount!r} has more decimals than {currency}") from None
    return int(cents)


def as_configured(amount: str) -> str:
    """Return *amount* if it is written as in a configuration: ``"12.50"`` or ``"12"``, not negative.

    Else raise :class:`MoneyError` ("what is wrong; what to do"); the text itself is not repeated.
    """
    if re.fullmatch(r"-[0-9]+(\.[0-9]+)?", amount):
        raise MoneyError("must not be negative; write it without the minus sign")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", amount):
        raise MoneyError('is no amount; write it with a decimal point and in quotation marks: "1.00"')
    return amount


def to_decimal(cents: int, currency: str) -> Decimal:
    """Return *cents* as an exact decimal in major units, with all decimals (``1250`` -> ``12.50``)."""
    return Decimal(cents).scaleb(-minor_digits(currency)).quantize(Decimal(1).scaleb(-minor_digits(currency)))
