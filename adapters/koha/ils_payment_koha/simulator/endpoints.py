"""One method for each operation of the simulated API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ils_payment.model import Reply
from ils_payment_koha.simulator import catalogue, newer, query, schema
from ils_payment_koha.simulator.patrons import COLUMNS, FILTERS, Patrons
from ils_payment_koha.simulator.render import (
    CREDIT_FIELDS,
    DEBIT_FIELDS,
    ITEM_FIELDS,
    LIBRARY_FIELDS,
    PUBLIC_ITEM_FIELDS,
    not_found,
    patron,
    reply,
)
from ils_payment_koha.simulator.routes import BASE_PATH, specification

if TYPE_CHECKING:
    from ils_payment.model import RawRequest
    from ils_payment_koha.simulator.access import Access
    from ils_payment_koha.simulator.accounts import Accounts
    from ils_payment_koha.simulator.habits import KohaHabits
    from ils_payment_koha.simulator.render import Renderer
    from ils_payment_koha.simulator.state import Biblio, Patron, Tables


ATTRIBUTE_FIELDS = ("extended_attribute_id", "type", "value")


@dataclass(frozen=True)
class Call:
    """One admitted request: its parameters are checked against the route, its user is known."""

    request: RawRequest
    path: dict[str, str]
    form: str
    user: Patron | None

    def number(self, name: str) -> int:
        """Return a path parameter as an integer or raise Koha's 400."""
        return schema.integer(self.path[name], f"/{name}")


@dataclass
class Endpoints:
    """Answers admitted calls."""

    tables: Tables
    habits: KohaHabits
    access: Access
    accounts: Accounts
    patrons: Patrons
    renderer: Renderer

    def answer(self, operation: str, call: Call) -> Reply:
        """Answer *call*; a credit books with gaps of its own, everything else in one go."""
        if operation == "credits.add":
            return self._add_credit(call)
        with self.tables.lock:
            return self._by_operation[operation](call)

    def __post_init__(self) -> None:
        self._by_operation: dict[str, Callable[[Call], Reply]] = {
            "spec": lambda _: reply(200, specification(newer=self.habits.newer)),
            "token": lambda call: self.access.token(call.request),
            "password.validation": lambda call: self.access.validate(
                schema.body(call.request, schema.PASSWORD)
            ),
            "patrons.list": self._list_patrons,
            "patrons.get": self._get_patron,
            "patrons.put": self._put_patron,
            "attributes.list": self._list_attributes,
            "patrons.delete": self._delete_patron,
            "account.get": self._account,
            "credits.list": partial(self._list_lines, credit=True),
            "debits.list": partial(self._list_lines, credit=False),
            "debits.add": self._add_debit,
            "items.list": self._list_items,
            "items.get": self._get_item,
            "biblios.list": self._list_biblios,
            "biblios.get": self._get_biblio,
            "biblios.items": self._biblio_items,
            "biblios.items.public": partial(self._biblio_items, fields=PUBLIC_ITEM_FIELDS),
            "libraries.list": self._list_libraries,
            "libraries.get": self._get_library,
            "checkouts.list": self._list_checkouts,
            "categories.list": self._list_categories,
            "self_renewal.start": self._start_self_renewal,
            "self_renewal.submit": self._submit_self_renewal,
        }

    def _listing(
        self, call: Call, filters: dict[str, schema.Field] | None = None, path: tuple[str, ...] = ()
    ) -> query.Listing:
        pairs = [(name, call.path[name]) for name in path]
        size = self.habits.default_page_size
        return query.parse(call.request, filters=filters or {}, path_pairs=pairs, page_size=size)

    def _list_patrons(self, call: Call) -> Reply:
        names = query.embeds(call.request)
        listing = self._listing(call, FILTERS)
        rows = [patron(row) for _, row in sorted(self.tables.patrons.items())]
        return query.answer(listing, rows, COLUMNS, lambda row: self.patrons.embedded(row, names))

    def _get_patron(self, call: Call) -> Reply:
        return reply(200, patron(self.patrons.get(call.number("patron_id"))))

    def _list_attributes(self, call: Call) -> Reply:
        rows = self.patrons.attributes(call.number("patron_id"))
        return query.answer(self._listing(call, path=("patron_id",)), rows, ATTRIBUTE_FIELDS)

    def _put_patron(self, call: Call) -> Reply:
        patron_id = call.number("patron_id")
        body = schema.body(call.request, schema.PATRON)
        return reply(200, self.patrons.put(patron_id, body, user=_known(call.user)))

    def _delete_patron(self, call: Call) -> Reply:
        """Delete a patron who owes nothing (inferred; only the 403 was seen)."""
        patron_id = self.patrons.get(call.number("patron_id")).patron_id
        if self.accounts.balance(patron_id):
            return reply(409, {"error": "Pending debts prevent deletion"})
        del self.tables.patrons[patron_id]
        return Reply(status=204)

    def _account(self, call: Call) -> Reply:
        lines = self.tables.lines_of(self.patrons.get(call.number("patron_id")).patron_id)
        debits = [line for line in lines if line.amount > 0 and line.outstanding > 0]
        credits_ = [line for line in lines if line.amount < 0 and line.outstanding < 0]
        body: dict[str, Any] = {"balance": self.renderer.total([line.outstanding for line in lines])}
        for name, part in (("outstanding_credits", credits_), ("outstanding_debits", debits)):
            total = self.renderer.total([line.outstanding for line in part])
            body[name] = {"lines": [self.renderer.line(line) for line in part], "total": total}
        return reply(200, body)

    def _list_lines(self, call: Call, *, credit: bool) -> Reply:
        patron_id = self.patrons.get(call.number("patron_id")).patron_id
        lines = [line for line in self.tables.lines_of(patron_id) if (line.credit_type is not None) == credit]
        rows = [self.renderer.credit(line) if credit else self.renderer.debit(line) for line in lines]
        listing = self._listing(call, path=("patron_id",))
        return query.answer(listing, rows, CREDIT_FIELDS if credit else DEBIT_FIELDS)

    def _add_credit(self, call: Call) -> Reply:
        patron_id = call.number("patron_id")
        body = schema.body(call.request, schema.CREDIT)
        with self.tables.lock:
            self.patrons.get(patron_id)
        credit = self.accounts.add_credit(patron_id, body, user_id=_known(call.user).patron_id)
        with self.tables.lock:
            return reply(201, self.renderer.line(credit))

    def _add_debit(self, call: Call) -> Reply:
        patron_id = call.number("patron_id")
        body = schema.body(call.request, schema.DEBIT)
        line = self.accounts.add_debit(self.patrons.get(patron_id).patron_id, body)
        where = f"{BASE_PATH}/patrons/{patron_id}/account/debits/{line.line_id}"
        return reply(201, self.renderer.debit(line), headers=[("Location", where)])

    def _list_items(self, call: Call) -> Reply:
        rows = [self.renderer.item(item) for _, item in sorted(self.tables.items.items())]
        listing = self._listing(call, {"external_id": schema.Field("string")})
        return query.answer(listing, rows, ITEM_FIELDS)

    def _get_item(self, call: Call) -> Reply:
        item = self.tables.items.get(call.number("item_id"))
        if item is None:
            raise not_found("Item not found")
        return reply(200, self.renderer.item(item))

    def _biblio_items(self, call: Call, fields: tuple[str, ...] | None = None) -> Reply:
        biblio_id = self._biblio(call).biblio_id
        rows = [self.renderer.item(item) for _, item in sorted(self.tables.items.items())]
        rows = [row for row in rows if row["biblio_id"] == biblio_id]
        listing = self._listing(call, path=("biblio_id",))
        return query.answer(
            listing,
            rows,
            ITEM_FIELDS,
            lambda row: {name: row[name] for name in fields or row},
        )

    def _get_biblio(self, call: Call) -> Reply:
        body = catalogue.written(self._biblio(call), call.form, self.renderer)
        return Reply(status=200, body=body, headers=(("Content-Type", catalogue.content_type(call.form)),))

    def _list_biblios(self, call: Call) -> Reply:
        """Return the first page: a list in a JSON form; other forms are joined (inferred)."""
        given = dict(parse_qsl(call.request.query))
        size = schema.integer(given.get("_per_page", str(self.habits.default_page_size)), "/_per_page")
        rows = [biblio for _, biblio in sorted(self.tables.biblios.items())][:size]
        parts = [catalogue.written(biblio, call.form, self.renderer) for biblio in rows]
        body = b"[" + b",".join(parts) + b"]" if "json" in call.form else b"\n".join(parts)
        return Reply(status=200, body=body, headers=(("Content-Type", catalogue.content_type(call.form)),))

    def _biblio(self, call: Call) -> Biblio:
        biblio = self.tables.biblios.get(call.number("biblio_id"))
        if biblio is None:
            raise not_found("Object not found.")
        return biblio

    def _list_libraries(self, call: Call) -> Reply:
        rows = [row for _, row in sorted(self.tables.libraries.items())]
        filters = {name: schema.Field("string") for name in LIBRARY_FIELDS}
        return query.answer(self._listing(call, filters), rows, LIBRARY_FIELDS)

    def _get_library(self, call: Call) -> Reply:
        library = self.tables.libraries.get(call.path["library_id"])
        if library is None:
            raise not_found("Library not found")
        return reply(200, library)

    def _list_checkouts(self, call: Call) -> Reply:
        """Return no loans: circulation is not simulated."""
        listing = self._listing(
            call, {"patron_id": schema.Field("integer"), "checked_in": schema.Field("boolean")}
        )
        return query.answer(listing, [], ("checkout_id", "patron_id"))

    def _list_categories(self, call: Call) -> Reply:
        rows = [newer.category(row, self.renderer) for _, row in sorted(self.tables.categories.items())]
        return query.answer(self._listing(call), rows, newer.CATEGORY_FIELDS)

    def _start_self_renewal(self, call: Call) -> Reply:
        newer.eligible(self.patrons.get(call.number("patron_id")), call.user)
        return reply(200, {"self_renewal_settings": newer.SETTINGS})

    def _submit_self_renewal(self, call: Call) -> Reply:
        patron_id = newer.eligible(self.patrons.get(call.number("patron_id")), call.user).patron_id
        until = self.patrons.renew(patron_id, by="self", interface="api", user_id=patron_id)
        return reply(201, {"expiry_date": until, "confirmation_sent": True})


def _known(user: Patron | None) -> Patron:
    """Return the user of an operation that no one may call without signing in."""
    if user is None:
        raise TypeError("a route that is not public has a user")
    return user
