"""How lists are shown: a table for a person, JSON for a program."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

json_option: Callable[..., Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Control characters but the line break: what others typed must not move a cursor or hide a sum."""


def harmless(text: str) -> str:
    """Return *text* with its control characters written out as in Python; line breaks stay."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def say(text: str, *, err: bool = False) -> None:
    """Print a line in which words of others may stand."""
    click.echo(harmless(text), err=err)


def print_json(value: object) -> None:
    """Print *value* as JSON; dataclasses become objects, instants ISO 8601."""
    told = json.dumps(plain(value), ensure_ascii=False, indent=2)
    # What JSON leaves as it is, some terminals obey.
    click.echo(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", told))


def plain(value: Any) -> Any:  # noqa: ANN401 - anything that has a JSON form
    """Turn dataclasses, enumerations and instants into JSON types."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return value


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print *rows* under *columns*, or the sentence *empty*; a narrow terminal gets a block for each row."""
    if not rows:
        click.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [[harmless(cell) for cell in row] for row in rows]
    # A pipe or a log has no width; a line that is cut there would lose what to do.
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    elif console.width < _NARROW and len(columns) > _FEW:
        for row in rows:
            for column, cell in zip(columns, row, strict=True):
                if cell:
                    console.print(Text.assemble(f"{column}: ", (cell, _STYLES.get(cell, ""))), soft_wrap=True)
            console.print()
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, not str: square brackets in a value are no markup.
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)


_NARROW = 100
_FEW = 4
"""A table of more columns is not read on a terminal narrower than that."""

_STYLES: Mapping[str, str] = {"ok": "green", "warning": "yellow", "error": "bold red"}


def instant(value: datetime | None, zone: tzinfo) -> str:
    """Write an instant for the terminal: to the second, with the short name of the time zone."""
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if value else ""
