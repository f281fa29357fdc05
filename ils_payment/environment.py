"""Finds what is wrong in the environment variables that go before the configuration file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from ils_payment.config import Settings
from ils_payment.problems import ENV_DELIMITER, ENV_PREFIX, Problem, unknown, variable
from ils_payment.toml_text import Key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def unknown_variables() -> list[Problem]:
    """Find ILS_PAYMENT__ variables that name no table: they would be ignored without a word."""
    tables = [name.upper() for name in Settings.model_fields]
    found = []
    for name in sorted(os.environ):
        table = name.removeprefix(ENV_PREFIX).split(ENV_DELIMITER)[0]
        if name.startswith(ENV_PREFIX) and table not in tables:
            found.append(
                Problem((), f"the environment variable {name} names no table", unknown(table, tables))
            )
    return found


def unknown_libraries(told: Collection[Problem], data: Mapping[str, Any]) -> dict[Key, Problem]:
    """Find the variables that seem to make a library of their own: its other keys are told as missing."""
    known = data.get("libraries")
    known = [str(key).upper() for key in known] if isinstance(known, dict) else []
    found = {}
    for key in {one.key[:2] for one in told if one.key[:1] == ("libraries",) and len(one.key) > 1}:
        names = [
            name
            for name in sorted(os.environ)
            if f"{name}{ENV_DELIMITER}".startswith(f"{variable(key)}{ENV_DELIMITER}")
        ]
        word = str(key[1]).upper()
        if known and word not in known and names:
            what = f"the environment variable {names[0]} names no library of the file"
            found[key] = Problem((), what, unknown(word, known))
    return found


def unreadable_variables(settings: type[BaseSettings]) -> list[Problem]:
    """Find the variables that are no JSON and have to be; what they hold is not repeated."""
    source = EnvSettingsSource(settings)
    found = []
    for name in sorted(name for name in os.environ if name.startswith(ENV_PREFIX)):
        source.env_vars = {name.lower(): os.environ[name]}
        try:
            source()
        except SettingsError:
            mend = "Lists and tables are written as JSON, e.g. '[\"10.0.0.0/8\"]'."
            found.append(Problem((), f"the environment variable {name} cannot be read", mend))
    return found
