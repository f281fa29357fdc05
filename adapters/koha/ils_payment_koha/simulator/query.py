"""Koha's listings over rows as the API shows them: ``q``, ``_match``, ``_order_by``, paging, its headers."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote_plus

from ils_payment_koha.simulator import schema
from ils_payment_koha.simulator.render import Problem, reply, unhandled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.model import RawRequest, Reply

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One listing's parameters: *filters* are the columns that may be named in the URL."""

    path: str
    host: str
    filters: dict[str, Any]
    queries: list[Any]
    match: str = "contains"
    order_by: str = ""
    page: int = 1
    per_page: int = 20
    link_pairs: list[tuple[str, str]] = field(default_factory=list)


def parse(
    request: RawRequest,
    *,
    filters: Mapping[str, schema.Field],
    path_pairs: list[tuple[str, str]],
    page_size: int,
) -> Listing:
    """Return what *request* asks for; raise the answer Koha gives to a parameter it does not know."""
    pairs = parse_qsl(request.query, keep_blank_values=True)
    known = {**schema.PAGING, **filters}
    unknown = [
        {"message": "Malformed query string", "path": f"/query/{name}"}
        for name, _ in pairs
        if name not in known
    ]
    if unknown:
        raise Problem(400, "list", more=unknown)
    given = schema.check(dict(pairs), known, where="")
    header = request.headers.get("x-koha-query")
    texts = [value for name, value in pairs if name == "q"] + ([header] if header else [])
    queries = [_json(text) for text in texts]
    links = [
        (name, _link_value(given[name], value)) for name, value in pairs if name not in {"_page", "_per_page"}
    ]
    if request.body:
        queries.append(_json(request.body.decode()))
        # Koha prints the address of a Perl hash here (seen).
        links.append(("query", "HASH(0x0)"))
    links += [("x-koha-query", header)] if header else []
    links += [("x-koha-embed", name) for name in embeds(request)]
    return Listing(
        path=request.path,
        host=request.headers.get("host", "127.0.0.1"),
        filters={name: given[name] for name in filters if name in given},
        queries=queries,
        match=given.get("_match", "contains"),
        order_by=given.get("_order_by", ""),
        page=given.get("_page", 1),
        per_page=given.get("_per_page", page_size),
        link_pairs=[*path_pairs, *links],
    )


def embeds(request: RawRequest) -> list[str]:
    """Return what ``x-koha-embed`` asks for; raise Koha's 400 for what cannot be embedded."""
    names = [name.strip() for name in request.headers.get("x-koha-embed", "").split(",") if name.strip()]
    for at, name in enumerate(names):
        if name not in schema.EMBEDS:
            message = f"Not in enum list: {', '.join(schema.EMBEDS)}."
            raise Problem(400, "errors", more=[{"message": message, "path": f"/x-koha-embed/{at}"}])
    return names


def answer(
    listing: Listing, rows: Sequence[Row], columns: Sequence[str], show: Callable[[Row], Row] = dict
) -> Reply:
    """Return the page of *rows* that *listing* asks for, with Koha's counting and linking headers."""
    base = list(rows)
    if "restricted" in listing.filters:
        # This one filter narrows the base too (seen).
        base = [row for row in base if row["restricted"] == listing.filters["restricted"]]
    plain = {name: value for name, value in listing.filters.items() if name != "restricted"}
    found = [row for row in base if all(_matches(row.get(n), v, listing.match) for n, v in plain.items())]
    for query in listing.queries:
        check_columns(query, columns)
        found = [row for row in found if fits(row, query)]
    if listing.per_page == 0:
        raise unhandled()
    page, total = _cut(listing, found)
    headers = _headers(listing, total, len(base))
    column = listing.order_by.lstrip("+- ")
    if column and column not in columns:
        raise Problem(500, "unhandled", more=headers)
    if column:
        descending = listing.order_by.startswith("-")
        page, _ = _cut(listing, sorted(found, key=lambda row: _sort_key(row[column]), reverse=descending))
    return reply(200, [show(row) for row in page], headers=headers)


def check_columns(query: Any, columns: Sequence[str]) -> None:  # noqa: ANN401 - any JSON
    """Raise the 500 that a column unknown to the database ends in (seen), whether or not there are rows."""
    if isinstance(query, list):
        for part in query:
            check_columns(part, columns)
        return
    if not isinstance(query, dict):
        raise unhandled()
    for name, wanted in query.items():
        if name in {"-and", "-or"}:
            check_columns(list(wanted), columns)
        elif name not in columns:
            raise unhandled()


def fits(row: Row, query: Any) -> bool:  # noqa: ANN401 - any JSON
    """Return whether *row* satisfies *query*: a list means any of its parts, an object all of them."""
    if isinstance(query, list):
        return any(fits(row, part) for part in query)
    return all(_condition(row, name, wanted) for name, wanted in query.items())


def _condition(row: Row, name: str, wanted: Any) -> bool:  # noqa: ANN401 - any JSON
    if name == "-and":
        return all(fits(row, part) for part in wanted)
    if name == "-or":
        return any(fits(row, part) for part in wanted)
    return _compare(row[name], wanted)


def _compare(value: Any, wanted: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(wanted, list):
        return any(_compare(value, one) for one in wanted)
    if isinstance(wanted, dict):
        return all(_operate(value, name, operand) for name, operand in wanted.items())
    if wanted is None or value is None:
        return value is None and wanted is None
    return bool(_key(value, wanted) == _key(wanted, value))


_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _operate(value: Any, name: str, operand: Any) -> bool:  # noqa: ANN401 - any JSON
    if name in {"=", "-in", "-ident"}:
        return _compare(value, operand)
    if name in {"!=", "-not_in", "-not"}:
        return not _compare(value, operand)
    if name == "-between":
        return _operate(value, ">=", operand[0]) and _operate(value, "<=", operand[1])
    if name in _ORDERINGS:
        known = value is not None and operand is not None
        return known and _ORDERINGS[name](_key(value, operand), _key(operand, value))
    if name in {"-like", "like"}:
        return value is not None and like(str(value), str(operand))
    if name == "-not_like":
        return value is not None and not like(str(value), str(operand))
    raise unhandled()


def like(value: str, pattern: str) -> bool:
    """Return whether SQL's LIKE holds; case does not count in Koha's collation."""
    parts = {"%": ".*", "_": "."}
    regex = "".join(parts.get(char, re.escape(char)) for char in pattern.casefold())
    return re.fullmatch(regex, value.casefold(), re.DOTALL) is not None


def _matches(value: Any, wanted: Any, how: str) -> bool:  # noqa: ANN401 - any column
    if isinstance(wanted, bool):
        return bool(value) == wanted
    if value is None:
        return False
    patterns = {"contains": f"%{wanted}%", "starts_with": f"{wanted}%", "ends_with": f"%{wanted}"}
    return _compare(value, wanted) if how == "exact" else like(str(value), patterns[how])


def _key(value: Any, other: Any) -> Any:  # noqa: ANN401 - any column
    """Return *value* for comparing with *other*: by number where one is, else as the collation sees text."""
    number, counterpart = _as_number(value), _as_number(other)
    if (
        number is not None
        and counterpart is not None
        and not (isinstance(value, str) and isinstance(other, str))
    ):
        return number
    return str(value).rstrip(" ").casefold()


def _as_number(value: Any) -> Decimal | None:  # noqa: ANN401 - any column
    try:
        return Decimal(str(int(value))) if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        return None


def _sort_key(value: Any) -> tuple[int, Any]:  # noqa: ANN401 - any column
    if value is None:
        return (0, 0)
    return (2, value.casefold()) if isinstance(value, str) else (1, value)


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        raise unhandled() from None


def _cut(listing: Listing, found: list[Row]) -> tuple[list[Row], int]:
    """Return one page and the total; page 0 is the first rows, with their own count as the total (seen)."""
    if listing.per_page == -1:
        return found, len(found)
    if listing.page == 0:
        return found[: listing.per_page], min(listing.per_page, len(found))
    start = (listing.page - 1) * listing.per_page
    return found[start : start + listing.per_page], len(found)


def _headers(listing: Listing, total: int, base: int) -> list[tuple[str, str]]:
    last = -(-total // listing.per_page) if listing.per_page > 0 else 1
    pages = [("first", 1), ("last", last)]
    if 0 < listing.page < last:
        pages.insert(0, ("next", listing.page + 1))
    if listing.page > 1:
        pages.insert(0, ("prev", listing.page - 1))
    links = [("Link", f'<{_address(listing, page)}>; rel="{name}"') for name, page in pages]
    return [*links, ("X-Base-Total-Count", str(base)), ("X-Total-Count", str(total))]


def _address(listing: Listing, page: int) -> str:
    pairs = [*listing.link_pairs, ("_page", str(page)), ("_per_page", str(listing.per_page))]
    pairs.sort(key=lambda pair: pair[0])
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in pairs)
    return f"http://{listing.host}{listing.path}?{query}"


def _link_value(checked: object, raw: str) -> str:
    return str(int(checked)) if isinstance(checked, bool) else raw
