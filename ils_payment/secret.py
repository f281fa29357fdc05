"""How a secret is named in the configuration: never in clear, always by where it lies.

``{ env = "NAME" }`` reads an environment variable, ``{ file = "/path" }`` a file (its trailing
newline is cut; a file that others may read is refused), and ``{ credential = "NAME" }`` a file that
systemd lays out by ``LoadCredential=`` for the unit that is running, whichever it is. A plugin declares
a secret field with the type :data:`Secret` and gets a pydantic ``SecretStr`` whose ``repr`` is stars.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr

_FORM = (
    'this names no place of a secret; write { env = "NAME" }, { file = "/path" } or { credential = "NAME" }'
)
_UNITS = Path("/run/credentials")
"""Where systemd has a folder for each running unit, which ends with it."""


def _resolve(value: Any) -> SecretStr:  # noqa: ANN401 - it is whatever the administrator wrote
    """Turn ``{env=...}`` or ``{file=...}`` into the secret, or say what is wrong (ValueError)."""
    if isinstance(value, SecretStr):
        return value
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic wants ValueError
            'a secret must not stand here in clear; write { env = "NAME" } or { file = "/path" } instead'
        )
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(_FORM)
    (source, name), *_ = value.items()
    if source == "env":
        # Whoever puts the secret itself here would otherwise read it in the message below.
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", str(name)):
            raise ValueError(
                "env wants the name of an environment variable in capitals; write e.g. "
                '{ env = "KOHA_CLIENT_SECRET" }'
            )
        text = os.environ.get(str(name), "")
        if not text:
            raise ValueError(
                f"the environment variable {name} is not set or empty; "
                "write it into /etc/ils-payment/secrets.env, as NAME=value"
            )
        return SecretStr(text)
    if source == "file":
        if not Path(str(name)).is_absolute():
            raise ValueError("file wants an absolute path; write e.g. /etc/ils-payment/koha-client-secret")
        return SecretStr(_read(Path(str(name))))
    if source == "credential":
        return SecretStr(_read(_credential(str(name))))
    raise ValueError(_FORM)


def _credential(name: str) -> Path:
    """Return where systemd laid out a credential for the unit that is running."""
    # Whoever puts the secret itself here would otherwise read it in the messages below.
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
        raise ValueError(
            "credential wants a short name of small letters, digits and hyphens; "
            'write e.g. { credential = "koha-secret" }'
        )
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ValueError(
            f"systemd gave this program no credentials, so there is no {name}; put the file into "
            "/etc/ils-payment/credentials, and run commands by the script of deploy/ils-payment"
        )
    return Path(folder) / name


def _read(path: Path) -> str:
    """Return the content of a secret file that nobody else may read."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        mend = "correct the path, or let the user of the service read the file"
        if path.is_relative_to(_UNITS):
            mend = (
                f'write {{ credential = "{path.name}" }}, put the file into /etc/ils-payment/credentials, '
                "and name it in the LoadCredential= lines of the service"
            )
        raise ValueError(f"the file {path} cannot be read ({error.strerror}); {mend}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} is not text; write the secret into it as UTF-8") from None
    if mode & stat.S_IROTH:
        raise ValueError(f"the file {path} can be read by everybody; type: chmod o-r {path}")
    if not text:
        raise ValueError(f"the file {path} is empty; write the secret into it")
    return text


Secret = Annotated[SecretStr, BeforeValidator(_resolve)]
"""The type of a secret field in a plugin's ``Config``."""
