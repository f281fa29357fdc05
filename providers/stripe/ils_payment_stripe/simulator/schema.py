"""Requests are held against the installed SDK's own parameter types.

The SDK declares every request as a TypedDict generated from Stripe's OpenAPI. Here those types
become JSON schemas at first use, and a decoded form is checked and typed by them. So a parameter
that an API version dropped is refused by the simulator as soon as the SDK with that version is
installed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import get_type_hints, is_typeddict

from ils_payment_stripe.simulator.forms import Node
from ils_payment_stripe.simulator.refusal import Refusal, missing

Schema = dict[str, Any]

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    Decimal: {"type": "string", "format": "decimal"},
    Any: {},
}
# RequestOptions, which every parameter type inherits, names these; the inheriting modules do not import them.
_UNRESOLVED = {"StripeContext": str, "Mapping": Mapping}


@cache
def schema_of(params: str) -> Schema:
    """Return the JSON schema of one of the SDK's parameter types, e.g. ``checkout.SessionCreateParams``."""
    room, _, name = params.rpartition(".")
    module = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
    path = f"stripe.params.{room}._{module}" if room else f"stripe.params._{module}"
    return _object(getattr(importlib.import_module(path), name))


@cache
def _object(kind: Any) -> Schema:  # noqa: ANN401 - typing has no name for "a TypedDict class"
    """Return the schema of a TypedDict, without what belongs to the SDK's call and not to the request."""
    hints = get_type_hints(kind, localns=_UNRESOLVED)
    names = [name for name in hints if name not in RequestOptions.__annotations__]
    schema: Schema = {
        "type": "object",
        "properties": {name: _any(hints[name]) for name in names},
        "additionalProperties": False,
    }
    required = sorted(set(kind.__required_keys__) & set(names))
    return schema | ({"required": required} if required else {})


def _any(hint: Any) -> Schema:  # noqa: ANN401 - a type hint can be any object
    """Return the schema of one type hint."""
    if is_typeddict(hint):
        return _object(hint)
    origin = get_origin(hint)
    if origin is list:
        return {"type": "array", "items": _any(get_args(hint)[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _any(get_args(hint)[1])}
    if origin is UntypedStripeObject:
        return {"type": "object", "additionalProperties": _any(get_args(hint)[0])}
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin in {Union, UnionType}:
        return _union([_any(member) for member in get_args(hint) if member is not type(None)])
    return _SCALARS[hint]


def _union(candidates: list[Schema]) -> Schema:
    """Return one schema for the candidates; a known list of words plus any text is an open enumeration."""
    members = [one for index, one in enumerate(candidates) if one not in candidates[:index]]
    if len(members) == 1:
        return members[0]
    words = [member for member in members if "enum" in member]
    if len(words) == 1 and {"type": "string"} in members and len(members) == 2:
        return {"type": "string", "x-known-values": words[0]["enum"]}
    return {"anyOf": members}


def typed(schema: Schema, node: Node, param: str = "", *, also: frozenset[str] = frozenset()) -> Any:  # noqa: ANN401 - the schema says what
    """Return *node* as JSON types, or refuse it as Stripe does.

    *param* is the name so far, e.g. ``line_items[0]``. *also* are words that this account may use
    beyond the published enumerations (previews that Stripe switched on for it).
    """
    if "anyOf" in schema:
        return _first_that_fits(schema["anyOf"], node, param, also)
    kind = schema.get("type")
    if kind == "object":
        return _typed_object(schema, node, param, also)
    if kind == "array":
        return _typed_array(schema, node, param, also)
    if isinstance(node, dict):
        raise Refusal(400, f"Invalid {kind or 'value'}: {param} must not be an object.", param=param)
    words = schema.get("enum") or schema.get("x-known-values")
    if words is not None and node not in words and node not in also:
        listed = ", ".join(str(word) for word in words if word != "")
        raise Refusal(400, f"Invalid {param}: must be one of {listed}", param=param)
    return _typed_scalar(schema, node, param)


def _first_that_fits(members: list[Schema], node: Node, param: str, also: frozenset[str]) -> Any:  # noqa: ANN401 - see typed
    """Return *node* as the first member that takes it, or give the likeliest one's refusal."""
    nested = isinstance(node, dict)
    *others, best = sorted(members, key=lambda one: (one.get("type") in {"object", "array"}) is nested)
    for member in others:
        try:
            return typed(member, node, param, also=also)
        except Refusal:
            continue
    return typed(best, node, param, also=also)


def _typed_object(schema: Schema, node: Node, param: str, also: frozenset[str]) -> dict[str, Any]:
    if isinstance(node, str):
        raise Refusal(400, f"Invalid object: {param} has to be given as {param}[...].", param=param)
    free = schema["additionalProperties"]
    known = schema.get("properties", {})
    result = {}
    for name, child in node.items():
        path = f"{param}[{name}]" if param else name
        inner = known.get(name, free)
        if inner is False:
            message = f"Received unknown parameter: {path}"
            raise Refusal(400, message, code="parameter_unknown", param=path)
        result[name] = typed(inner, child, path, also=also)
    for name in schema.get("required", ()):
        if name not in node:
            raise missing(f"{param}[{name}]" if param else name)
    return result


def _typed_array(schema: Schema, node: Node, param: str, also: frozenset[str]) -> list[Any]:
    if node == "":
        return []
    if isinstance(node, str) or not all(name.isdigit() for name in node):
        raise Refusal(
            400, f"Invalid array: {param} has to be given as {param}[0], {param}[1], ...", param=param
        )
    ordered = sorted(node.items(), key=lambda item: int(item[0]))
    return [typed(schema["items"], child, f"{param}[{name}]", also=also) for name, child in ordered]


def _typed_scalar(schema: Schema, text: str, param: str) -> Any:  # noqa: ANN401 - see typed
    kind = schema.get("type")
    if kind == "integer":
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise Refusal(400, f"Invalid integer: {text}", code="parameter_invalid_integer", param=param)
        return int(text)
    if kind == "boolean":
        if text not in {"true", "false"}:
            raise Refusal(400, f"Invalid boolean: {text}", param=param)
        return text == "true"
    if (
        text == ""
        and "enum" not in schema
        and "[metadata]" not in param
        and not param.startswith("metadata[")
    ):
        message = f"You passed an empty string for '{param}'. Leave it out if you mean that it has no value."
        raise Refusal(400, message, code="parameter_invalid_empty", param=param)
    return text
