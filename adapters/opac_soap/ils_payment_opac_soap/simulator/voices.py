"""What every simulated maker's service has in common: its words for one call, over the books."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ils_payment_opac_soap import tree

if TYPE_CHECKING:
    from datetime import date

    from ils_payment.testing.books import Books, Patron
    from ils_payment_opac_soap.tree import Tree

Content = Mapping[str, Any]


class SOAPFaultError(Exception):
    """The service answers with a fault."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it was understood: the element's content, the header's, and what belongs to the moment."""

    content: Tree
    header: Tree
    now: Any

    @property
    def today(self) -> date:
        """Return the day."""
        day: date = self.now.date()
        return day

    def first(self, path: str) -> str:
        """Return the first text at *path* of the content."""
        return tree.first(self.content, path)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its element, what is in it, and the namespace; ``unqualified``: the children have none."""

    name: str
    content: Content
    namespace: str
    unqualified: bool = False


class Voice:
    """One maker's words. ``answers`` leads from the name of a request's element to what is done with it."""

    session_fault = ""
    """The code of the fault for a session that has ended; empty where there are none."""
    root = ""
    """The root of a document; empty for SOAP."""
    pays = ""
    """The element of the request that pays."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.sessions: set[str] = set()

    @property
    def answers(self) -> Mapping[str, Callable[[Call], Said]]:
        """Return what each request's element does."""
        raise NotImplementedError

    def patron(self, card: str) -> Patron | None:
        """Return the patron with this card."""
        return self.books.patrons.get(card)

    def signed_in(self, card: str, pin: str) -> bool:
        """Tell whether card and PIN fit."""
        found = self.patron(card)
        return found is not None and found.pin == pin

    def new_session(self) -> str:
        """Begin a session."""
        token = f"session-{len(self.sessions) + 1}"
        self.sessions.add(token)
        return token


def point(cents: int) -> str:
    """Return cents with a decimal point."""
    return f"{Decimal(cents).scaleb(-2):.2f}"


def comma(cents: int) -> str:
    """Return cents with a decimal comma."""
    return point(cents).replace(".", ",")
