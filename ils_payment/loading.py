"""Finds, reads and checks the configuration; every way in which it can be wrong has a message with a mend."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ils_payment.config import EMBEDDED, PluginTable, Settings
from ils_payment.environment import unknown_libraries, unknown_variables, unreadable_variables
from ils_payment.errors import ConfigurationError, PluginError
from ils_payment.plugins import Plugins, installed, kinds
from ils_payment.problems import (
    ENV_DELIMITER,
    ENV_PREFIX,
    Problem,
    Source,
    not_told,
    raise_all,
    translate,
    unknown,
    wrong_types,
)
from ils_payment.toml_text import Key, key_lines, toml_mend

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from ils_payment.ports import PluginConfig

CONFIG_VARIABLE = "ILS_PAYMENT_CONFIG"
DEFAULT_PATH = Path("/etc/ils-payment/config.toml")


class _Loaded(BaseSettings, Settings):
    """The settings with their sources: the environment goes before the file."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, extra="forbid", frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings' own
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take environment variables first, then the file (given as arguments), and nothing else."""
        return env_settings, init_settings


def config_path(path: Path | None) -> Path:
    """Return the file to read: *path* (``--config``), else ``$ILS_PAYMENT_CONFIG``, else the usual place."""
    return path or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_PATH)


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration; raise ConfigurationError with every problem of the file at once.

    Plugins are looked up by name, not imported: their own tables are checked by
    :func:`plugin_config` and :func:`check_plugin_tables`.
    """
    chosen = config_path(path)
    text = _read(chosen)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{chosen} is not valid TOML: {error}.", mend=toml_mend(error)) from None
    source = Source(chosen, key_lines(text))
    strangers, wrong = unknown_variables(), wrong_types(data, Settings)
    try:
        settings = _Loaded(**data)
    except ValidationError as error:
        told = translate(error, Settings)
        strange = unknown_libraries(told, data)
        told = [one for one in told if one.key[:2] not in strange]
        strangers += strange.values()
        raise_all(strangers + told + not_told(wrong, told), source)
        raise  # Only a validation error without any detail would come here.
    except SettingsError:
        raise_all(unreadable_variables(_Loaded), None)
        raise  # Only what each variable alone does not show would come here.
    raise_all(strangers + wrong + _plugins_absent(settings), source)
    for _, table in plugin_tables(settings):
        table.come_from(source)
    return settings


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & stat.S_IWOTH:
            raise ConfigurationError(
                f"{path} can be changed by everybody on this machine.", mend=f"Type: chmod o-w {path}"
            )
        # Editors of other systems put a byte order mark before the first line, which is no TOML.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        mend = f"Type: ils-payment init {path} - or name another file with --config or {CONFIG_VARIABLE}."
        raise ConfigurationError(f"There is no configuration file {path}.", mend=mend) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text.", mend="Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}).",
            mend="Run this as the user of the service, by the script of deploy/ils-payment; if it is that "
            f"user: chgrp ils-payment {path} && chmod 640 {path}",
        ) from None


def plugin_tables(settings: Settings) -> Iterator[tuple[Key, PluginTable]]:
    """Yield every table that a plugin reads, with its key."""
    for key, library in settings.libraries.items():
        yield ("libraries", key, "library_system"), library.library_system
        for name, table in library.providers.items():
            yield ("libraries", key, "providers", name), table
        for name, table in library.elending.items():
            yield ("libraries", key, "elending", name), table


def plugin_class(plugins: Plugins, key: Key, plugin: str) -> type[Configurable]:
    """Return the class that reads the table at *key*: what it has to be follows from where it stands."""
    find: Mapping[Any, Callable[[str], type[Configurable]]] = {
        "library_system": plugins.library_system,
        "providers": plugins.provider,
        "elending": plugins.elending,
    }
    return find[key[2]](plugin)


def _plugins_absent(settings: Settings) -> list[Problem]:
    named = [((*key, "plugin"), str(key[2]), table.plugin) for key, table in plugin_tables(settings)]
    if settings.server.runner != EMBEDDED:
        named.append((("server", "runner"), "runner", settings.server.runner))
    known = installed()
    absent = [(key, kind, name) for key, kind, name in named if name not in known]
    if not absent:
        return []
    # Only now are plugins imported: what may stand here depends on what each of them brings.
    there = kinds()
    there = {**there, "runner": [EMBEDDED, *there["runner"]]}
    return [
        Problem(key, f"the plugin {name!r} is not installed", unknown(name, there[kind]))
        for key, kind, name in absent
    ]


class Configurable(Protocol):
    """What all plugins with a table have in common here: the model of that table."""

    Config: ClassVar[type[PluginConfig]]


def plugin_config(
    cls: type[Configurable], table: PluginTable | Mapping[str, Any], where: str
) -> PluginConfig:
    """Check a plugin's own *table* against the ``Config`` of *cls* and tell all its problems.

    *where* is the dotted key of the table, e.g. ``libraries.herrenberg.library_system``.
    """
    config, problems = _checked(cls, table, tuple(where.split(".")))
    raise_all(problems, table.source if isinstance(table, PluginTable) else None)
    # Without a problem there is a configuration.
    return cast("PluginConfig", config)


def _checked(
    cls: type[Configurable], table: PluginTable | Mapping[str, Any], where: Key
) -> tuple[PluginConfig | None, list[Problem]]:
    own = table.own if isinstance(table, PluginTable) else dict(table)
    wrong = wrong_types(own, cls.Config, where)
    try:
        return cls.Config.model_validate(own), wrong
    except ValidationError as error:
        told = translate(error, cls.Config, where)
        return None, told + not_told(wrong, told)


def check_plugin_tables(settings: Settings, plugins: Plugins) -> None:
    """Check the tables of all plugins at once, so that all their problems are told together."""
    problems: list[Problem] = []
    source: Source | None = None
    for key, table in plugin_tables(settings):
        source = table.source
        try:
            found = plugin_class(plugins, key, table.plugin)
        except PluginError as error:
            what = f"{error.what[:1].lower()}{error.what[1:]}".rstrip(".")
            problems.append(Problem((*key, "plugin"), what, error.mend))
        else:
            problems += _checked(found, table, key)[1]
    raise_all(problems, source)


_LIVE_NEEDS = {
    "contact": "Add the table [{}].",
    "pages": "Add the table [{}].",
    "receipt": "Add the table [{}].",
    "staff_email": "Add {}: who is told when a payment needs a person.",
}


def check_live(settings: Settings, live: Collection[str]) -> None:
    """Refuse to take real money without what the law and a patron in trouble need.

    *live* names the libraries that have a provider whose ``capabilities().live`` is true.
    """
    problems: list[Problem] = []
    source: Source | None = None
    for key in sorted(live):
        library = settings.libraries[key]
        source = library.library_system.source
        problems += [
            _needed_live(("libraries", key, name), mend.format(f"libraries.{key}.{name}"))
            for name, mend in _LIVE_NEEDS.items()
            if getattr(library, name) is None
        ]
    if live and settings.mail is None:
        problems.append(
            _needed_live(("mail",), "Add the table [mail]; staff are told of open cases by mail.")
        )
    if live and not settings.server.public_url.startswith("https://"):
        problems.append(_needed_live(("server", "public_url"), "It must begin with https://."))
    raise_all(problems, source)


def _needed_live(key: Key, mend: str) -> Problem:
    return Problem(key, "is needed with a provider's live key", mend)
