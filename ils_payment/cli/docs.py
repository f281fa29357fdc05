"""Keeps the tables in ``docs/configuration.md`` and ``docs/tariff.md`` as the code has them.

``python -m ils_payment.cli.docs docs/configuration.md`` writes the tables of a page anew between
their markers; a test compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ils_payment.cli.reference import TableInfo, entries_of, tables_of
from ils_payment.config import PluginTable, Settings
from ils_payment.config.tariff import TariffTable
from ils_payment.plugins import Plugins
from ils_payment.toml_text import toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ils_payment.cli.reference import Entry
    from ils_payment.loading import Configurable

_HEADERS = {
    "library-system": "libraries.KEY.library_system",
    "provider": "libraries.KEY.providers.KEY",
    "elending": "libraries.KEY.elending.KEY",
}
"""Where a plugin's own table stands; tables inside of it have its header before their own."""

_SECTION = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """Return *text* with every generated section as the code has it now."""
    return _SECTION.sub(lambda found: f"{found[1]}\n{_section(found['name'])}\n{found[3]}", text)


def _section(name: str) -> str:
    if name == "core":
        return "\n".join(_table(table) for table in tables_of(Settings))
    if name == "tariff":
        whole = f"### The file\n\n{_rows(entries_of(TariffTable))}"
        return "\n".join([whole, *(_table(table) for table in tables_of(TariffTable))])
    kind, plugin = name.split()
    plugins = Plugins({plugin})
    find: dict[str, Callable[[str], type[Configurable]]] = {
        "library-system": plugins.library_system,
        "provider": plugins.provider,
        "elending": plugins.elending,
    }
    config = find[kind](plugin).Config
    return "\n".join(
        [_rows(entries_of(config)), *(_table(table) for table in tables_of(config, _HEADERS[kind]))]
    )


def _table(table: TableInfo) -> str:
    header = f"### `{table.header}`\n\n{table.purpose}{'' if table.required else ' Optional.'}\n"
    if table.model is PluginTable:
        return f"{header}\n{_rows(table.entries)}\nThe other keys are the plugin's own.\n"
    return f"{header}\n{_rows(table.entries)}"


def _rows(entries: Iterable[Entry]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for entry in entries:
        default = (
            "**required**"
            if entry.required
            else "none"
            if entry.default is None
            else f"`{toml(entry.default)}`"
        )
        cells = (f"`{entry.name}`", entry.kind, default, entry.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite the file that the command line names."""
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
