"""``ils-payment plugins``: what is installed, from which distribution, and whether it is used."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import click

from ils_payment.cli.output import json_option, print_json, print_table
from ils_payment.errors import ConfigurationError
from ils_payment.plugins import installed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from pathlib import Path


@click.command()
@json_option
@click.pass_obj
def plugins(config: Path | None, *, as_json: bool) -> None:
    """List the installed plugins with their distribution, version and the SHA-256 of its RECORD.

    The RECORD names every file of a distribution with its hash, so its own hash stands for all of
    them. Nothing is imported. Works without a configuration; then nothing is marked as used.
    """
    used = _used(config)
    found = [_told(point, used) for _, point in sorted(installed().items())]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["name"],
            one["distribution"],
            one["version"],
            "yes" if one["used"] else "no",
            one["record_sha256"] or "-",
        )
        for one in found
    ]
    print_table(
        ("Plugin", "Distribution", "Version", "Used", "SHA-256 of RECORD"),
        rows,
        empty="No plugin is installed.",
    )


def _told(point: EntryPoint, used: set[str]) -> dict[str, Any]:
    distribution = point.dist
    record = distribution.read_text("RECORD") if distribution else None
    return {
        "name": point.name,
        "distribution": distribution.name if distribution else "",
        "version": distribution.version if distribution else "",
        "record_sha256": hashlib.sha256(record.encode()).hexdigest() if record else None,
        "used": point.name in used,
    }


def _used(config: Path | None) -> set[str]:
    """Return the plugins that the configuration names; none where there is no readable one."""
    from ils_payment.loading import config_path, load_settings

    if config is None and not config_path(None).exists():
        return set()
    try:
        return load_settings(config).plugin_names()
    except ConfigurationError as error:
        # The list helps to mend exactly this, so it is shown all the same.
        click.echo(
            f"Note: the configuration cannot be read, so no plugin is marked as used. {error.what}", err=True
        )
        return set()
