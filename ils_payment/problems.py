"""Tells what is wrong in a configuration: the key, the file, the line where it can, and the mend.

Nothing here repeats a value from the file: a secret may stand in the wrong place.
"""

from __future__ import annotations

import os
import types
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ils_payment.errors import ConfigurationError
from ils_payment.toml_text import Key, toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

ENV_PREFIX = "ILS_PAYMENT__"
ENV_DELIMITER = "__"


@dataclass(frozen=True, slots=True)
class Source:
    """The file a configuration came from, and the line on which each key's statement begins."""

    path: Path
    lines: Mapping[Key, int] = field(default_factory=dict)

    def place(self, key: Key) -> str:
        """Say where *key* stands; an environment variable wins."""
        name = variable(key)
        if name in os.environ:
            return f"environment variable {name}"
        line = self.line(key)
        return f"line {line}" if line else ""

    def line(self, key: Key) -> int:
        """Return the line of *key*, else of the first key inside of it, else of the table around it, or 0.

        A table without a header of its own begins with its first: ``[a.b]`` alone is where ``a`` stands.
        """
        for length in range(len(key), 0, -1):
            part = key[:length]
            inside = [line for known, line in self.lines.items() if known[:length] == part]
            if inside:
                return self.lines.get(part, min(inside))
        return 0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one key."""

    key: Key
    what: str
    mend: str


def variable(key: Key) -> str:
    """Return the environment variable that goes before what the file says at *key*."""
    return ENV_PREFIX + ENV_DELIMITER.join(str(part) for part in key).upper()


def raise_all(
    problems: Sequence[Problem], source: Source | None, page: str = "docs/configuration.md"
) -> None:
    """Raise one ConfigurationError that tells all *problems*; nothing happens when there are none.

    *page* of the documentation explains the keys.
    """
    if not problems:
        return
    name = str(source.path) if source else "the configuration"
    told = []
    for problem in sorted(problems, key=lambda one: source.line(one.key) if source else 0):
        place = source.place(problem.key) if source else ""
        told.append(
            (place, f"{dotted(problem.key)}: {problem.what}" if problem.key else problem.what, problem)
        )
    if len(told) == 1:
        [(place, text, problem)] = told
        raise ConfigurationError(f"{name}{', ' if place else ''}{place}: {text}.", mend=problem.mend)
    lines = [f"{name} has {len(told)} problems:"]
    lines += [
        f"  {place + ': ' if place else ''}{text}. {problem.mend}".rstrip() for place, text, problem in told
    ]
    raise ConfigurationError("\n".join(lines), mend=f"Correct each line above; {page} explains each key.")


def dotted(key: Key) -> str:
    """Write a key as an administrator would: ``libraries.herrenberg.methods[0].method``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def bracketed(key: Key) -> str:
    """Write the name of a table as it stands in brackets, without places in lists: ``main.methods``."""
    return ".".join(part for part in key if isinstance(part, str))


_PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "string_pattern_mismatch": "is not in the right form",
    "too_short": "must not be empty",
    "date_from_datetime_parsing": "is no date",
    "date_parsing": "is no date",
}


def translate(error: ValidationError, model: type[BaseModel], where: Key = ()) -> list[Problem]:
    """Turn pydantic's errors into problems; *where* is the key of the table that *model* checked."""
    errors = error.errors(include_url=False)
    # A list whose only element is wrong is told as empty, too: the element's own problem is enough.
    nested = {one["loc"][:length] for one in errors for length in range(1, len(one["loc"]))}
    # A key that is misspelt is told as unknown; that it is missing as well says nothing more.
    misspelt = {
        (*one["loc"][:-1], *_near(model, one["loc"])) for one in errors if one["type"] == "extra_forbidden"
    }
    return [
        _translated(one, model, where)
        for one in errors
        if not (one["type"] == "too_short" and one["loc"] in nested)
        and not (one["type"] == "missing" and one["loc"] in misspelt)
    ]


_STRICT = {int: "int_type", float: "float_type", bool: "bool_type"}


def wrong_types(data: Mapping[str, Any], model: type[BaseModel], where: Key = ()) -> list[Problem]:
    """Find numbers in quotation marks and the like, which pydantic would take.

    It has to take them from the environment, where everything is text; in the file they are mistakes.
    """
    found = []
    for name, info in model.model_fields.items():
        key = (*where, name)
        if name not in data or variable(key) in os.environ:
            continue
        kind, value = bare(info.annotation), data[name]
        if kind in _STRICT:
            if type(value) is not kind and not (kind is float and type(value) is int):
                found.append(Problem(key, _PLAIN[_STRICT[kind]], _form(model, (name,))))
            continue
        inner = [(key, value)]
        if get_origin(kind) in {dict, tuple}:
            pairs = (
                value.items()
                if isinstance(value, dict)
                else enumerate(value)
                if isinstance(value, list)
                else ()
            )
            inner = [((*key, part), one) for part, one in pairs]
            kind = bare(get_args(kind)[get_origin(kind) is dict])
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for at, one in inner:
                found += wrong_types(one, kind, at) if isinstance(one, dict) else []
    return found


def not_told(more: list[Problem], told: list[Problem]) -> list[Problem]:
    """Return what *more* says about keys of which nothing is *told* yet."""
    known = {one.key for one in told}
    return [one for one in more if one.key not in known]


def _translated(error: ErrorDetails, model: type[BaseModel], where: Key) -> Problem:
    own: Key = tuple(part for part in error["loc"] if part != "[key]")
    context = error.get("ctx", {})
    if error["type"] == "wrong_at":
        own += tuple(int(part) if part.isdigit() else part for part in context["at"].split("."))
    key = where + own
    if error["type"] == "missing":
        meaning = _meaning(model, own)
        return Problem(key, "is missing", f"Add it: {meaning}" if meaning else "Add it.")
    if error["type"] == "extra_forbidden":
        return Problem(key, "is not a key of this table", _suggestion(model, own))
    if error["type"] in {"value_error", "wrong_at"}:
        # Our own checks write "what is wrong; what to do".
        what, _, mend = str(context.get("error", error["msg"])).partition("; ")
        return Problem(key, what, _sentence(mend) if mend else _form(model, own))
    if error["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return Problem(key, f"must be a table: [{bracketed(key)}]", "")
    if error["type"] in {"tuple_type", "list_type"} and _table(model, (*own, 0)):
        name = bracketed(key)
        what = f"must be a list of tables, and a list is written with double brackets: [[{name}]]"
        return Problem(key, what, f"Write [[{name}]] instead of [{name}], and repeat it for each table.")
    if error["type"] in {"string_too_long", "string_too_short"}:
        bound = (
            f"at most {context['max_length']}"
            if "max_length" in context
            else f"at least {context['min_length']}"
        )
        return Problem(key, f"must have {bound} characters", _form(model, own))
    if error["type"] in {"less_than_equal", "greater_than_equal"}:
        bound = f"at most {context['le']}" if "le" in context else f"at least {context['ge']}"
        return Problem(key, f"must be {bound}", _range(model, own))
    # The value itself is never told, only that it is a number.
    if error["type"] == "string_type" and isinstance(error.get("input"), int | float):
        return Problem(key, "must be a text", "Put it in quotation marks.")
    text = _PLAIN.get(error["type"], error["msg"].replace("Input should be", "must be"))
    return Problem(key, text, _form(model, own))


def _sentence(mend: str) -> str:
    """Write a mend as a sentence; what is typed or copied ends as it is."""
    copied = mend.startswith("type: ") or mend.endswith((".", "/"))
    return f"{mend[:1].upper()}{mend[1:]}{'' if copied else '.'}"


def _form(model: type[BaseModel], key: Key) -> str:
    """Show how the field is written: with its example or its default; without both tell its meaning."""
    name, field = _field(model, key)
    if field is None:
        return ""
    if not field.examples and field.default in (None, PydanticUndefined, "", (), {}):
        shape = f"Write {name} = [...]. " if get_origin(bare(field.annotation)) in {list, tuple} else ""
        return f"{shape}{field.description or ''}".strip()
    return f"Write it like: {name} = {toml(field.examples[0] if field.examples else field.default)}"


def _range(model: type[BaseModel], key: Key) -> str:
    """Say between which numbers the field lies."""
    field = _field(model, key)[1]
    bounds = [
        f"{word} {value}"
        for word, name in (("from", "ge"), ("to", "le"))
        for part in (field.metadata if field else ())
        if (value := getattr(part, name, None)) is not None
    ]
    return f"Write a number {' '.join(bounds)}."


def unknown(word: str, known: Sequence[str]) -> str:
    """Return the mend for a word that is not known: the nearest one, or all there are."""
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"There is: {', '.join(sorted(known)) or 'none'}."


def _near(model: type[BaseModel], key: Key) -> list[str]:
    table = _table(model, key[:-1])
    return get_close_matches(str(key[-1]), table.model_fields, n=1) if table else []


def _suggestion(model: type[BaseModel], key: Key) -> str:
    table = _table(model, key[:-1])
    return unknown(str(key[-1]), sorted(table.model_fields)) if table else "Remove it."


def _meaning(model: type[BaseModel], key: Key) -> str:
    field = _field(model, key)[1]
    return (field.description or "") if field else ""


def _field(model: type[BaseModel], key: Key) -> tuple[str, FieldInfo | None]:
    """Return the field that *key* names, or the nearest one around it, with its name."""
    for length in range(len(key), 0, -1):
        table = _table(model, key[: length - 1])
        if table and key[length - 1] in table.model_fields:
            return str(key[length - 1]), table.model_fields[str(key[length - 1])]
    return "", None


def _table(model: type[BaseModel], key: Key) -> type[BaseModel] | None:
    """Walk from *model* along *key* and return the model that stands there, if it is one."""
    kind: Any = model
    for part in key:
        kind = bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found = kind.model_fields.get(str(part))
            kind = found.annotation if found else None
        else:
            arguments = get_args(kind)
            kind = arguments[1 if get_origin(kind) is dict else 0] if arguments else None
    kind = bare(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def bare(kind: Any) -> Any:  # noqa: ANN401 - a type annotation may be of any form
    """Strip ``Annotated`` and ``| None`` from an annotation."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in {Union, types.UnionType}:
            kind = next(one for one in get_args(kind) if one is not type(None))
        else:
            return kind
