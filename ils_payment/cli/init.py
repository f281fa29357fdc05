"""``ils-payment init``: writes a configuration to fill in, with every key explained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ils_payment.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from ils_payment.loading import Configurable


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--library", default="main", show_default=True, help="Key of the library, as it stands in addresses."
)
@click.option("--library-system", default="koha", show_default=True, help="Plugin of the library system.")
@click.option("--provider", default="stripe", show_default=True, help="Plugin of the payment provider.")
@click.option("--elending", default="onleihe", show_default=True, help="Plugin of an eLending platform.")
@click.pass_obj
def init(
    config: Path | None, path: Path | None, library: str, library_system: str, provider: str, elending: str
) -> None:
    """Write a commented configuration to PATH, or to where --config says.

    An existing file is never overwritten. The file is readable by its owner and group only.
    """
    from ils_payment.cli.template import write_template
    from ils_payment.config.fields import plain_key
    from ils_payment.loading import config_path

    try:
        plain_key(library)
    except ValueError as error:
        what, _, mend = str(error).partition("; ")
        raise ConfigurationError(
            f"--library {library!r}: {what}.", mend=f"{mend[:1].upper()}{mend[1:]}."
        ) from None
    target = path or config_path(config)
    text = write_template(
        library,
        *(
            (name, _class_of(option, key, name).Config)
            for option, key, name in (
                ("--library-system", "library_system", library_system),
                ("--provider", "providers", provider),
                ("--elending", "elending", elending),
            )
        ),
    )
    _create(target, text)
    click.echo(f"Wrote {target}.")
    click.echo("Next: fill in the lines that are no comments, set the secrets, then type: ils-payment check")


def _class_of(option: str, key: str, name: str) -> type[Configurable]:
    """Return the class of the plugin that *option* names; the error names the option."""
    from ils_payment.loading import plugin_class
    from ils_payment.plugins import Plugins, installed, kinds
    from ils_payment.problems import unknown

    if name not in installed():
        raise ConfigurationError(
            f"{option}: the plugin {name!r} is not installed.", mend=unknown(name, kinds()[key])
        )
    try:
        return plugin_class(Plugins({name}), ("libraries", "", key), name)
    except PluginError as error:
        raise ConfigurationError(f"{option}: {error.what}", mend=error.mend) from None


def _create(path: Path, text: str) -> None:
    """Create *path* with mode 0640, whatever the umask allows; refuse to touch what is there."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        raise ConfigurationError(
            f"{path} exists already; it was not touched.", mend="Name another file, or move this one away."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}).", mend="Make its folder, or name another file."
        ) from None
    os.fchmod(handle, 0o640)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
