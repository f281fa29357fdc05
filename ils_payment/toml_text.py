"""TOML as administrators write it: the line of each key, what is broken, and how a value is written."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from typing import Any

Key = tuple[str | int, ...]
"""A key of the file, outermost first: ``("libraries", "herrenberg", "methods", 0, "method")``."""

DECIMALS = 'Decimals are written with a point and in quotation marks: "9.00".'
"""The end of what to do about broken TOML: ``amount = 9,00`` is the commonest reason."""


_TWICE = ("Cannot declare", "Cannot overwrite", "Duplicate", "immutable")


def toml_mend(error: tomllib.TOMLDecodeError) -> str:
    """Say what to do about a file that is no TOML; the reader itself says where."""
    if any(word in str(error) for word in _TWICE):
        return "This key or table stands twice: remove one of the two, or move its keys to the other."
    return f"Correct that line; texts need quotation marks. {DECIMALS}"


def key_lines(text: str) -> dict[Key, int]:
    """Return the line on which each key of a valid TOML file begins (inside a value: the value's).

    ``tomllib`` itself says where a statement ends: the shortest run of lines that it can read.
    """
    found: dict[Key, int] = {}
    table: Key = ()
    tables: dict[Key, int] = {}
    pending: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if pending else number
        pending.append(line)
        try:
            statement = tomllib.loads("\n".join(pending))
        except tomllib.TOMLDecodeError:
            continue
        header = pending[0].lstrip()
        pending = []
        if not statement:
            continue
        if header.startswith("["):
            table = _header(statement, tables)
            found.setdefault(table, first)
        else:
            for key in _keys(statement):
                found.setdefault(table + key, first)
    return found


def _header(statement: dict[str, Any], tables: dict[Key, int]) -> Key:
    """Return the key of ``[a.b]`` or ``[[a.b]]``; *tables* counts the elements of arrays."""
    key: Key = ()
    value: Any = statement
    while isinstance(value, dict) and value:
        [(name, value)] = value.items()
        key += (name,)
        if isinstance(value, list):
            tables[key] = tables.get(key, -1) + 1
        if key in tables:
            key += (tables[key],)
    return key


def _keys(value: Any) -> list[Key]:  # noqa: ANN401 - any TOML value
    """Return every key inside of a value, the outer ones first."""
    if not isinstance(value, dict | list):
        return []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return [(name, *inner) for name, part in pairs for inner in ((), *_keys(part))]


def toml(value: Any) -> str:  # noqa: ANN401 - whatever a configuration can hold
    """Write *value* as TOML."""
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + " }" if value else "{}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(part) for part in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    # The escapes of JSON are those of TOML's basic strings; numbers and booleans look alike.
    return json.dumps(value, ensure_ascii=False)
