"""The contract kit for payment providers: what the core relies on, as tests to inherit.

.. code-block:: python

    from ils_payment.testing.provider import ProviderContract
    from ils_payment_piggy.stand import PiggyStand


    class TestPiggy(ProviderContract):
        on = PiggyStand

Run it with ``pytest -p ils_payment.testing.kit``; ``docs/writing-a-provider.md`` walks there.
"""

from ils_payment.testing.provider.doors import CheckTests, DoorTests, PreparingTests
from ils_payment.testing.provider.listing import ListingTests
from ils_payment.testing.provider.noticing import NoticingTests
from ils_payment.testing.provider.reading import ClosingTests, ReadingTests
from ils_payment.testing.provider.refunding import RefundingTests
from ils_payment.testing.provider.starting import StartingTests

__all__ = ["ProviderContract"]


class ProviderContract(
    DoorTests,
    CheckTests,
    PreparingTests,
    StartingTests,
    ReadingTests,
    ClosingTests,
    NoticingTests,
    RefundingTests,
    ListingTests,
):
    """What every payment provider promises; the subclass names its stand as ``on``."""
