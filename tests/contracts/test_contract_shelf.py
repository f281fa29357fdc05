"""The example plugin keeps the contract of library systems."""

from __future__ import annotations

from ils_payment_shelf.stand import ShelfStand

from ils_payment.testing.library_system import LibrarySystemContract


class TestShelf(LibrarySystemContract):
    on = ShelfStand
