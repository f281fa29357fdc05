"""The text that ``init`` writes: every table and key, what is optional as a comment."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ils_payment.cli.reference import NO_DEFAULT, Entry, entries_of, tables_of
from ils_payment.config import Library, Mail, Oidc, PluginTable, Server, Settings, Staff
from ils_payment.toml_text import toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel

    from ils_payment.ports import PluginConfig

_WIDTH = 100

_HEAD = """\
# Configuration of ils-payment. "##" explains; a key behind "#" shows its default or an example.
# Secrets never stand here: { env = "NAME" } names an environment variable,
# { file = "/path" } a file that others cannot read, { credential = "name" } one of systemd's
# LoadCredential= lines. Then type: ils-payment check
"""


def write_template(
    library: str,
    system: tuple[str, type[PluginConfig]],
    provider: tuple[str, type[PluginConfig]],
    platform: tuple[str, type[PluginConfig]],
) -> str:
    """Return a whole configuration file for one library with one library system and one provider.

    The eLending *platform* is a comment as a whole: the address that it makes takes PINs.
    """
    top = f"libraries.{library}"
    parts = [
        _HEAD,
        _table("[server]", Server.__doc__, entries_of(Server)),
        _table("[mail]", Mail.__doc__, entries_of(Mail), active=False),
        _table("[staff]", Staff.__doc__, entries_of(Staff), active=False),
        _table("[staff.oidc]", Oidc.__doc__, entries_of(Oidc), active=False),
        _table(f"[{top}]", Library.__doc__, entries_of(Library)),
        _plugin(f"[{top}.library_system]", "The library system.", *system, named=True),
        _plugin(f"[{top}.providers.{provider[0]}]", "A payment provider.", *provider, named=False),
        _plugin(
            f"[{top}.elending.{platform[0]}]", "An eLending platform.", *platform, named=False, active=False
        ),
    ]
    for table in tables_of(Settings):
        # Server, mail, the library itself and the tables of plugins are above.
        if not table.header.strip("[]").startswith("libraries.KEY.") or table.model is PluginTable:
            continue
        header = table.header.replace("libraries.KEY", top)
        entries = table.entries
        if table.required:
            entries = tuple(_with_provider(entry, *provider) for entry in entries)
        parts.append(_table(header, table.purpose, entries, active=table.required))
    return "\n".join(parts)


def _with_provider(entry: Entry, provider: str, config: type[PluginConfig]) -> Entry:
    """Let the way to pay name the provider that the file has, and a method that it offers."""
    examples = {"provider": provider, "method": config.first_method}
    return replace(entry, example=examples.get(entry.name, entry.example))


def _plugin(
    header: str, purpose: str, name: str, config: type[BaseModel], *, named: bool, active: bool = True
) -> str:
    """Write a plugin's table: what it gives an example for is written even if it has a default."""
    entries: list[Entry] = []
    if named:
        entries.append(Entry("plugin", "text", NO_DEFAULT, "Name of the plugin.", name))
    entries += _examples(entries_of(config), name)
    tables = [_table(header, purpose, entries, active=active)]
    tables += [
        _table(
            table.header,
            table.purpose,
            _examples(table.entries, name),
            active=active and (table.required or table.chosen),
        )
        for table in tables_of(config, header.strip("[]"))
    ]
    return "\n".join(tables)


def _examples(entries: Iterable[Entry], plugin: str) -> list[Entry]:
    """Let what has an example of its own be written, and name the plugin in the others."""
    return [
        replace(entry, default=NO_DEFAULT)
        if entry.chosen
        else replace(entry, example=_prefixed(entry.example, plugin))
        for entry in entries
    ]


def _prefixed(example: Any, plugin: str) -> Any:  # noqa: ANN401 - an example is of any type
    """Name the plugin in the environment variable of a secret."""
    if isinstance(example, list):
        return [_prefixed(one, plugin) for one in example]
    if isinstance(example, dict) and "env" in example:
        return {"env": f"{plugin}_{example['env']}".upper().replace("-", "_")}
    return example


def _table(
    header: str,
    purpose: str | None,
    entries: Iterable[Entry],
    *,
    active: bool = True,
) -> str:
    """Write one table; ``active=False`` makes all of it a comment."""
    first = (purpose or "").strip().split("\n")[0].split("``: ", 1)[-1]
    lines = [f"# --- {first[:1].upper()}{first[1:]}", header if active else f"# {header}"]
    for entry in entries:
        written = entry.required
        lines += _comment(f"{entry.meaning}{'' if entry.required else ' (optional)'}")
        shown = entry.example if written or entry.chosen or entry.default is None else entry.default
        value = f"{entry.name} = {toml(shown)}"
        lines.append(value if active and written else f"# {value}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    return (f"## {line}" for line in textwrap.wrap(text, _WIDTH))
