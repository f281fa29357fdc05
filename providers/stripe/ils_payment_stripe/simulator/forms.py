"""Form bodies and query strings of the v1 API: ``a[b][0][c]=text`` to nested dictionaries of text."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from ils_payment_stripe.simulator.refusal import Refusal

Node = str | dict[str, "Node"]
"""A text, or named (for arrays: numbered) nodes. What is an array is known by the schema only."""

_NAME = re.compile(r"(?P<head>[^\[\]]+)(?P<rest>(?:\[[^\[\]]*\])*)")


def decode(text: str) -> dict[str, Node]:
    """Return the tree that *text* spells; a name that cannot be read is refused as Stripe does."""
    tree: dict[str, Node] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        match = _NAME.fullmatch(name)
        if match is None:
            raise Refusal(400, f"Invalid parameter name: {name}", code="parameter_unknown", param=name)
        path = [match["head"], *re.findall(r"\[([^\[\]]*)\]", match["rest"])]
        _put(tree, path, value, name)
    return tree


def _put(tree: dict[str, Node], path: list[str], value: str, name: str) -> None:
    """Hang *value* into *tree*; ``[]`` takes the next free number."""
    here = tree
    for step in path[:-1]:
        child = here.setdefault(step or str(len(here)), {})
        if isinstance(child, str):
            raise Refusal(400, f"Invalid parameter: {name} is given as a text and as an object.", param=name)
        here = child
    last = path[-1] or str(len(here))
    if isinstance(here.get(last), dict):
        raise Refusal(400, f"Invalid parameter: {name} is given as a text and as an object.", param=name)
    here[last] = value
