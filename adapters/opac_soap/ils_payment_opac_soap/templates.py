"""Templates: texts with ``{variables}`` inside of tables and lists, filled in for one call. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLES = {
    "amount", "block", "card",
    "currency", "language", "line_amount", "marker", "method", "password", "patron",
    "pin", "ref", "refs", "today", "token", "until", "user",
}  # fmt: skip
"""What the program itself fills in; a preset's ``values`` come on top."""

HIDDEN = {"card", "password", "patron", "pin", "token", "user"}
"""What nobody needs to see when a request is shown."""

_PLACE = re.compile(r"\{([a-z_0-9]+)(\?)?\}")
_OF_A_LINE = {"ref", "line_amount"}


def names(template: object) -> set[str]:
    """Return the variables that a template names."""
    if isinstance(template, dict):
        return set().union(*(names(one) for one in template.values()), set())
    if isinstance(template, list | tuple):
        return set().union(*(names(one) for one in template), set())
    return {found[1] for found in _PLACE.finditer(template)} if isinstance(template, str) else set()


def outside_lists(template: object) -> set[str]:
    """Return the variables that a template names where nothing is repeated."""
    if isinstance(template, dict):
        return set().union(*(outside_lists(one) for one in template.values()), set())
    return set() if isinstance(template, list | tuple) else names(template)


def filled(template: Any, values: Mapping[str, str], lines: Sequence[Mapping[str, str]] = ()) -> Any:  # noqa: ANN401 - a template has any shape
    """Return *template* with its variables filled in.

    ``{name?}`` leaves its entry out when the variable is empty; a missing one is a KeyError. An entry of a
    list that names a variable of a line (``ref``, ``line_amount``) is repeated for each of *lines*.
    """
    if isinstance(template, dict):
        pairs = ((name, filled(part, values, lines)) for name, part in template.items())
        return {name: part for name, part in pairs if part is not None}
    if isinstance(template, list | tuple):
        return [one for part in template for one in _repeated(part, values, lines) if one is not None]
    if not isinstance(template, str):
        return str(template).lower() if isinstance(template, bool) else str(template)
    if any(found[2] and not values.get(found[1]) for found in _PLACE.finditer(template)):
        return None
    return _PLACE.sub(lambda found: values[found[1]], template)


def _repeated(part: Any, values: Mapping[str, str], lines: Sequence[Mapping[str, str]]) -> list[Any]:  # noqa: ANN401 - a template has any shape
    if not names(part) & _OF_A_LINE or not lines:
        return [filled(part, values, lines)]
    return [filled(part, {**values, **line}, lines) for line in lines]
