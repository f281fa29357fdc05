"""Reads the tables of the configuration off their models, for ``init`` and for the documentation."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

from ils_payment.config import PluginTable
from ils_payment.config.fields import Text
from ils_payment.problems import bare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

NO_DEFAULT = object()
PLACEHOLDER = "..."


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of one table.

    ``example`` is what ``init`` writes; ``chosen`` says that the field itself names it.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    example: Any
    chosen: bool = False

    @property
    def required(self) -> bool:
        """Tell whether the key must be given."""
        return self.default is NO_DEFAULT


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table: its header as written in the file, its purpose, its keys.

    ``chosen`` says that ``init`` writes it although it may be absent: its field has an example.
    """

    header: str
    purpose: str
    required: bool
    model: type[BaseModel]
    entries: tuple[Entry, ...]
    chosen: bool = False


def entries_of(model: type[BaseModel]) -> tuple[Entry, ...]:
    """Return the keys of *model* that are no tables of their own."""
    return tuple(
        _entry(name, field) for name, field in model.model_fields.items() if not _inner_table(field)[1]
    )


def tables_of(model: type[BaseModel], header: str = "") -> Iterator[TableInfo]:
    """Yield the tables below *model* in the order of the file; ``KEY`` stands for a name of one's own."""
    for name, field in model.model_fields.items():
        shape, inner = _inner_table(field)
        if inner is None:
            continue
        path = f"{header}.{name}" if header else name
        path += {"dict": ".KEY", "list": "", "one": ""}[shape]
        purpose = (inner.__doc__ or "").strip().split("\n")[0].split("``: ", 1)[-1]
        own = f"[[{path}]]" if shape == "list" else f"[{path}]"
        entries = entries_of(inner)
        if inner is PluginTable:
            purpose = field.description or ""
            # A provider's plugin is named by its table unless it says otherwise.
            entries = tuple(replace(one, default="KEY") if shape == "dict" else one for one in entries)
        yield TableInfo(
            own, purpose[:1].upper() + purpose[1:], field.is_required(), inner, entries, bool(field.examples)
        )
        yield from tables_of(inner, path)


def _inner_table(field: FieldInfo) -> tuple[str, type[BaseModel] | None]:
    """Say whether *field* holds one table, tables by name (dict) or a list of tables."""
    kind = bare(field.annotation)
    shape = "one"
    if get_origin(kind) is dict:
        kind, shape = bare(get_args(kind)[1]), "dict"
    elif get_origin(kind) is tuple:
        kind, shape = bare(get_args(kind)[0]), "list"
    return shape, kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _entry(name: str, field: FieldInfo) -> Entry:
    default = NO_DEFAULT if field.is_required() else field.get_default(call_default_factory=True)
    kind = "text, or texts by language" if _is_local(field) else kind_name(field.annotation)
    example = field.examples[0] if field.examples else _example(name, kind)
    return Entry(name, kind, default, field.description or "", example, chosen=bool(field.examples))


def _is_local(field: FieldInfo) -> bool:
    """Tell whether *field* is a text for patrons, which may stand in several languages."""
    marker = get_args(Text)[1]
    inside = [part for choice in get_args(field.annotation) for part in get_args(choice)]
    return marker in field.metadata or marker in inside


def _example(name: str, kind: str) -> object:
    """Return what stands for a value that only the administrator knows."""
    if kind == "secret":
        return {"env": name.upper()}
    if kind.startswith("list of "):
        return [_example(name.removesuffix("s"), kind.removeprefix("list of ").removesuffix("s"))]
    return {"whole number": 0, "number": 0.0, "true or false": False}.get(kind, PLACEHOLDER)


def kind_name(annotation: Any) -> str:  # noqa: ANN401 - a type annotation may be of any form
    """Say in plain words what may stand at a key."""
    kind = bare(annotation)
    if get_origin(kind) is Literal:
        return " or ".join(json.dumps(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        inner = bare(get_args(kind)[0])
        return (
            f"list of {kind_name(inner)}" if get_origin(inner) is Literal else f"list of {kind_name(inner)}s"
        )
    if get_origin(kind) is dict:
        inner = bare(get_args(kind)[1])
        plural = "" if get_origin(inner) is Literal else "s"
        return "table of tables" if get_origin(inner) is dict else f"table of {kind_name(inner)}{plural}"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(json.dumps(choice) for choice in kind)
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", SecretStr: "secret"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))
