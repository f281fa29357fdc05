"""What an administrator configures for a library system with SOAP or NCIP, with a mend in every message."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback
from ils_payment_opac_soap.preset import Errors, Preset, builtin, read_builtin, read_wsdl

_KEY_LENGTH = 32


class OwnWSDL(BaseModel):
    """A WSDL from the maker, in the place of the preset's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(description="Its file, as an absolute path.")
    sha256: str = Field(pattern="^[0-9a-fA-F]{64}$", description="What sha256sum says of it.")
    binding: str | None = Field(default=None, description="Its binding, where the preset names another.")


class SOAPConfig(PluginConfig):
    """The table ``[libraries.<key>.library_system]`` of a library whose system speaks SOAP or NCIP."""

    url: str = Field(
        description="Address of the services; the preset says what comes behind it.",
        examples=["https://opac.library.example/services"],
    )
    urls: dict[str, str] = Field(
        default_factory=dict, description="Whole addresses of single services, where they lie elsewhere."
    )
    preset: str | None = Field(
        default=None,
        description="A preset of the program: arena, libero, ncip, sunrise-rpc or symphony.",
        examples=["symphony"],
    )
    preset_file: str | None = Field(
        default=None, description="Instead: a preset of your own, as an absolute path; see docs/opac-soap.md."
    )
    wsdl: dict[str, OwnWSDL] = Field(
        default_factory=dict,
        description="The maker's WSDL for single services, such as "
        '{ patron = { file = "...", sha256 = "..." } }.',
    )
    values: dict[str, str] = Field(
        default_factory=dict,
        description="What the preset wants to know, such as a client id; no secrets.",
        examples=[{"client_id": "ILS-PAYMENT"}],
    )
    errors: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Words of your system that the preset does not know, for questions only, such as "
        '{ absent = ["..."] }; see docs/opac-soap.md.',
    )
    enable: list[str] = Field(
        default_factory=list,
        description="Operations that a preset has and leaves off, such as credits, once you have tried them.",
    )
    disable: list[str] = Field(
        default_factory=list, description="Operations of the preset that are not to be used, such as pay."
    )
    user: str = Field(default="", max_length=200, description="Our own user at the services.")
    password: Secret | None = Field(
        default=None, description="Its password.", examples=[{"env": "OPAC_SOAP_PASSWORD"}]
    )
    http_user: str | None = Field(default=None, description="User for HTTP Basic, where the server wants it.")
    http_password: Secret | None = Field(default=None, description="Password that belongs to http_user.")
    patron_key: Secret = Field(
        description="At least 32 random characters, made once and never changed: the services know patrons "
        "by their card numbers, and the ledger keeps these encrypted with this key.",
        examples=[{"env": "OPAC_SOAP_PATRON_KEY"}],
    )
    payment_type: str = Field(default="", description="What {method} says in the preset's requests.")
    payment_types: dict[str, str] = Field(
        default_factory=dict, description='The same for single methods, such as { card = "CREDIT" }.'
    )
    session_minutes: int = Field(
        default=10, ge=1, le=1440, description="After so long a session of our own is begun anew."
    )
    deadline_seconds: float = Field(
        default=15.0, ge=1.0, le=20.0, description="Longest time that one call may take, in seconds."
    )
    late_apply_minutes: int = Field(
        default=15,
        ge=1,
        le=1440,
        description="How long a call that seemed lost may still take effect; longer than any proxy waits.",
    )
    remember_minutes: int = Field(
        default=10,
        ge=1,
        le=30,
        description="Where reading needs the PIN: how long what was read at the sign-in is shown.",
    )
    check_card: Secret | None = Field(
        default=None, description="Number of a test card; ils-payment check asks every question about it."
    )
    check_pin: Secret | None = Field(default=None, description="PIN of the test card.")

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        return _address(value)

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: _address(one) for name, one in value.items()}

    @field_validator("patron_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < _KEY_LENGTH:
            raise ValueError(
                f"the key must have at least {_KEY_LENGTH} characters; make one with: openssl rand -hex 32"
            )
        return value

    @model_validator(mode="after")
    def _check_preset(self) -> Self:
        """Refuse a preset that is none, values that it lacks, and a WSDL that is not the approved one."""
        spoken = self.spoken
        for name in (*self.urls, *self.wsdl):
            if name not in spoken.services:
                raise ValueError(f"there is no service {name!r}; there is {', '.join(spoken.services)}")
        unknown = sorted(set(self.values) - set(spoken.values))
        if unknown:
            known = ", ".join(sorted(spoken.values)) or "none"
            raise ValueError(f"values.{unknown[0]}: the preset has no such value; there is {known}")
        for name, value in spoken.values.items():
            if value.default is None and name not in self.values:
                raise ValueError(f"values.{name} is missing; add it: {value.text}")
        self._check_files(spoken)
        return self

    @model_validator(mode="after")
    def _check_http(self) -> Self:
        if (self.http_user is None) != (self.http_password is None):
            raise ValueError("http_user and http_password belong together; give both or neither")
        return self

    def _check_files(self, spoken: Preset) -> None:
        for name, service in spoken.services.items():
            if service.style != "wsdl":
                continue
            try:
                content = read_wsdl(service.wsdl, self.preset_folder)
            except OSError as error:
                raise ValueError(
                    f"wsdl.{name}: {service.wsdl} cannot be read ({error.strerror}); put it there"
                ) from None
            found = hashlib.sha256(content).hexdigest()
            if found != service.sha256.lower():
                raise ValueError(
                    f"wsdl.{name}: {service.wsdl} is not the approved file: its SHA-256 is {found}; compare "
                    "it with the maker's, and if it is right write this as sha256"
                )

    @property
    def preset_folder(self) -> Path | None:
        """Return the folder of the library's own preset, where its WSDLs may lie too."""
        return Path(self.preset_file).parent if self.preset_file is not None else None

    @cached_property
    def spoken(self) -> Preset:
        """Return the preset as this library uses it: with its own WSDLs, and what it switched on and off."""
        raw = self._raw()
        try:
            whole = Preset.model_validate(raw)
        except ValidationError as error:
            found = error.errors()[0]
            place = ".".join(str(part) for part in found["loc"])
            what = f"preset: {place}: {found['msg']}".replace(": : ", ": ").replace("; ", ", ")
            raise ValueError(f"{what}; correct the preset (docs/opac-soap.md)") from None
        there = dict(whole.operations.all())
        unknown = [name for name in (*self.enable, *self.disable) if name not in there]
        if unknown:
            raise ValueError(f"the preset has no operation {unknown[0]!r}; there is {', '.join(there)}")
        off = {name for name, one in there.items() if one.opt_in and name not in self.enable}
        off |= set(self.disable)
        operations = whole.operations.model_copy(update=dict.fromkeys(off))
        services = {**whole.services}
        for name, own in self.wsdl.items():
            if name in services:
                named = {"wsdl": own.file, "sha256": own.sha256}
                named |= {"binding": own.binding} if own.binding else {}
                services[name] = services[name].model_copy(update=named)
        update = {"operations": operations, "services": services, "errors": self._errors(whole.errors)}
        return whole.model_copy(update=update)

    def _errors(self, known: Errors) -> Errors:
        """Return the error map for questions, with the library's own words."""
        known_names = [name for name in Errors.model_fields if name != "paths"]
        wrong = sorted(set(self.errors) - set(known_names))
        if wrong:
            raise ValueError(f"errors.{wrong[0]} is not known; there is {', '.join(known_names)}")
        return known.model_copy(
            update={name: (*getattr(known, name), *words) for name, words in self.errors.items()}
        )

    def _raw(self) -> dict[str, Any]:
        if (self.preset is None) == (self.preset_file is None):
            known = ", ".join(builtin())
            raise ValueError(f"give either preset or preset_file; write one of the presets {known}")
        if self.preset is not None:
            if self.preset not in builtin():
                raise ValueError(f"there is no preset {self.preset!r}; there is {', '.join(builtin())}")
            return dict(read_builtin(self.preset))
        path = Path(self.preset_file or "")
        if not path.is_absolute():
            raise ValueError("preset_file wants an absolute path; write e.g. /etc/ils-payment/preset.toml")
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(
                f"preset_file {path} cannot be read ({error.strerror}); correct the path, or let the user of "
                "the service read it"
            ) from None
        except ValueError as error:
            raise ValueError(f"preset_file {path} is no TOML file: {error}; correct that line") from None

    @property
    def all_values(self) -> dict[str, str]:
        """Return the preset's values, with the library's own before the defaults."""
        known = {
            name: value.default for name, value in self.spoken.values.items() if value.default is not None
        }
        return {**known, **self.values}

    def address_of(self, service: str) -> str:
        """Return the whole address of a service."""
        return self.urls.get(service) or self.url + self.spoken.services[service].path

    def payment_type_of(self, method: str) -> str:
        """Return what {method} says for *method*."""
        return self.payment_types.get(method, self.payment_type)


def _address(value: str) -> str:
    """Accept https, and http on this machine only."""
    url = value.strip().rstrip("/")
    parts = urlsplit(url)
    example = "write it like https://opac.library.example/services"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"this is no web address; {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("name and password must not stand in the address; use http_user and http_password")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"it must be reached by https, or PINs travel in clear; {example}")
    if parts.query or parts.fragment:
        raise ValueError(f"the address must end before any ? or #; {example}")
    return url
