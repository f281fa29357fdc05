"""The contract kit for library systems: what the core relies on, as tests to inherit.

.. code-block:: python

    from ils_payment.testing.library_system import LibrarySystemContract
    from ils_payment_shelf.stand import ShelfStand


    class TestShelf(LibrarySystemContract):
        on = ShelfStand

Run it with ``pytest -p ils_payment.testing.kit``; ``docs/writing-a-library-system.md`` walks there.
"""

from ils_payment.testing.library_system.charging import ChargingTests
from ils_payment.testing.library_system.doors import CheckTests, DoorTests
from ils_payment.testing.library_system.failing import FailingTests
from ils_payment.testing.library_system.lists import ListTests
from ils_payment.testing.library_system.reading import ReadingTests
from ils_payment.testing.library_system.renewing import RenewingTests
from ils_payment.testing.library_system.settling import SettlingTests
from ils_payment.testing.library_system.signing_in import SigningInTests
from ils_payment.testing.library_system.unclear import MarkerTests, UnclearTests

__all__ = ["LibrarySystemContract"]


class LibrarySystemContract(
    DoorTests,
    CheckTests,
    ReadingTests,
    SigningInTests,
    FailingTests,
    SettlingTests,
    UnclearTests,
    MarkerTests,
    ChargingTests,
    RenewingTests,
    ListTests,
):
    """What every library system promises; the subclass names its stand as ``on``."""
