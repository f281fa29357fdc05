"""What a preset is: a TOML file that says which operation does what, and how its answers are read.

``docs/opac-soap.md`` explains each entry with examples.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ils_payment.model import Partial, Surplus
from ils_payment_opac_soap import tree
from ils_payment_opac_soap.templates import VARIABLES, names, outside_lists

Money = Literal["minor", "point", "comma", "text"]
Dates = Literal["iso", "german", "compact"]
Known = Literal["documented", "seen", "unverified"]
Template = dict[str, Any]


def _followed(path: str) -> str:
    if path and not tree.is_path(path):
        raise ValueError("this is no path; write it like Answer/fees/fee, //name, or fee[state=open]/amount")
    return path


Path_ = Annotated[str, AfterValidator(_followed)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Condition(_Part):
    """Something that an answer says: there is a text at ``path``, one of ``is``, or (``absent``) nothing."""

    path: Path_
    one_of: tuple[str, ...] = Field(default=(), alias="is")
    absent: bool = False

    def holds(self, answer: tree.Tree) -> bool:
        """Tell whether *answer* says so."""
        found = tree.find(answer, self.path)
        if self.absent:
            return not found
        if self.one_of:
            return any(tree.text(one) in self.one_of for one in found)
        return any(one != "" for one in found)


class Service(_Part):
    """Where operations are, and in which way they are spoken to.

    ``wsdl``: SOAP after a WSDL. ``rpc``: SOAP without one, positional arguments. ``xml``: a document by POST,
    without an envelope.
    """

    style: Literal["wsdl", "rpc", "xml"] = "wsdl"
    path: str = ""
    wsdl: str = ""
    sha256: str = ""
    binding: str = ""
    namespace: str = ""
    root: str = ""
    attributes: dict[str, str] = {}
    content_type: str = "text/xml; charset=utf-8"
    header_element: str = ""
    header: Template = {}

    @model_validator(mode="after")
    def _check_style(self) -> Self:
        if self.style == "wsdl" and not (self.wsdl and self.sha256 and self.binding):
            raise ValueError("a service with a WSDL needs wsdl, sha256 and binding")
        if self.style != "wsdl" and not self.namespace:
            raise ValueError("a service without a WSDL needs its namespace")
        if self.style == "xml" and not self.root:
            raise ValueError("a service of documents needs the name of the root")
        return self


class Errors(_Part):
    """Where an answer says what went wrong, and what each word there means. A SOAP fault's code counts too.

    ``session``: sign in again. ``refused``: card and PIN do not fit. ``absent``: no such patron.
    ``authentication``: our own credentials or rights. ``permanent``, ``retryable``: for what writes,
    certainly not done. What is in no list, or in ``unclear``, is unclear.
    """

    paths: tuple[Path_, ...] = ()
    session: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    authentication: tuple[str, ...] = ()
    permanent: tuple[str, ...] = ()
    retryable: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


class Operation(_Part):
    """One operation: what is sent, when its answer is a success, and how sure it is that it is as written."""

    service: str
    name: str
    input: Template
    ok: tuple[Condition, ...] = Field(min_length=1)
    errors: Errors | None = None
    session: bool = True
    known: Known
    source: str
    opt_in: bool = False
    money: Money | None = None
    dates: Dates | None = None
    patron_echo: Path_ = ""


class Login(Operation):
    """Begins a session of our own; ``token`` leads to what proves it."""

    token: Path_


class SignIn(Operation):
    """Proves card and PIN; ``patron`` leads to the id that other operations want (empty: the card number).

    ``refused`` is what an answer without success says when card and PIN do not fit and no error code does.
    """

    patron: Path_ = ""
    refused: tuple[Condition, ...] = ()


class Fees(Operation):
    """Lists what is owed. ``ref`` to ``since`` begin at an item; without ``ref`` the whole balance counts."""

    items: Path_
    none_if: Condition | None = None
    skip: tuple[Condition, ...] = ()
    amount: Path_
    ref: Path_ = ""
    kind: Path_ = ""
    text: Path_ = ""
    since: Path_ = ""
    balance: Path_ = ""
    currency: Path_ = ""


class BlockRule(_Part):
    """When the condition holds, the card is blocked by ``kind``.

    ``lift``: such a block may be lifted when neither fees nor expiry are left; ``{block}`` then says this.
    """

    when: Condition
    kind: str
    manual: bool = False
    lift: str = ""


class CardRead(Operation):
    """Reads the card."""

    valid_until: Path_ = ""
    category: Path_ = ""
    blocks: tuple[BlockRule, ...] = ()


class Pay(Operation):
    """Writes fees as paid: money moves here. The input may name ``{ref}`` (``per = "fee"``) or ``{refs}``."""

    per: Literal["fee", "order"]
    join: str = ","
    refused: tuple[Condition, ...] = ()
    amount_echo: Path_ = ""
    ref_echo: Path_ = ""
    marker_echo: Path_ = ""
    unapplied: Path_ = ""
    remote_ref: Path_ = ""
    partial: Partial = Partial.NONE
    surplus: Surplus = Surplus.FLOWS


class Credits(Operation):
    """Lists payments with the marker that ``pay`` wrote."""

    items: Path_
    marker: Path_
    amount: Path_
    remote_ref: Path_ = ""


class Renew(Operation):
    """Writes a new expiry of the card."""


class Unblock(Operation):
    """Takes a block away."""


class Value(_Part):
    """What a library has to say for itself: ``text`` tells what it is; without a default it must be given."""

    text: str
    default: str | None = None


class Operations(_Part):
    """The capabilities; what is not here is absent."""

    login: Login | None = None
    sign_in: SignIn | None = None
    find_patron: SignIn | None = None
    fees: Fees | None = None
    card: CardRead | None = None
    blocks: CardRead | None = None
    pay: Pay | None = None
    credits: Credits | None = None
    renew: Renew | None = None
    unblock: Unblock | None = None

    def all(self) -> Iterator[tuple[str, Operation]]:
        """Return the operations that are there, by the names of their tables."""
        for name in type(self).model_fields:
            operation = getattr(self, name)
            if operation is not None:
                yield name, operation


_FOR_EVERY = {"user", "password", "token", "currency", "language", "today"}
_OF_PATRON = _FOR_EVERY | {"patron"}
_ORDER = _OF_PATRON | {"marker", "amount", "refs", "ref", "line_amount", "method"}
ALLOWED = {
    "login": _FOR_EVERY - {"token"},
    "sign_in": _FOR_EVERY | {"card", "pin"},
    "find_patron": _FOR_EVERY | {"card"},
    "pay": _ORDER,
    "renew": _OF_PATRON | {"until", "marker"},
    "unblock": _OF_PATRON | {"block"},
}
"""Which variables an operation may name; those that read may name ``{pin}``, which makes them need one."""
_READS = _OF_PATRON | {"card", "pin"}


class Preset(_Part):
    """A whole preset."""

    title: str
    verified: bool
    rests_on: str
    money: Money
    dates: Dates
    money_of_texts: Literal["point", "comma"] = "comma"
    values: dict[str, Value] = {}
    services: dict[str, Service]
    errors: Errors = Errors()
    operations: Operations
    absent: dict[str, str] = {}

    @model_validator(mode="after")
    def _check_templates(self) -> Self:
        """Refuse services that are none, and variables that could not be filled in when money has moved."""
        clash = sorted(set(self.values) & VARIABLES)
        if clash:
            raise ValueError(f"values.{clash[0]}: that name is taken")
        for place, operation in self.operations.all():
            service = self.services.get(operation.service)
            if service is None:
                raise ValueError(f"operations.{place}.service: there is no service {operation.service!r}")
            used = names(operation.input)
            allowed = ALLOWED.get(place, _READS) | set(self.values)
            wrong = sorted((used - allowed) | (names(service.header) - _FOR_EVERY - set(self.values)))
            if wrong:
                known = ", ".join(f"{{{name}}}" for name in sorted(allowed))
                raise ValueError(f"operations.{place}: {{{wrong[0]}}} cannot be filled in; there is {known}")
        return self

    @model_validator(mode="after")
    def _check_pay(self) -> Self:
        """Refuse a way of paying that could not say what is paid, or how much."""
        pay, fees = self.operations.pay, self.operations.fees
        if pay is None:
            return self
        used = names(pay.input)
        if fees is None:
            raise ValueError("operations.pay needs operations.fees")
        if fees.ref and not used & {"ref", "refs"}:
            raise ValueError("operations.pay.input names no {ref} or {refs}: nobody would know what is paid")
        if not used & {"amount", "line_amount"}:
            raise ValueError("operations.pay.input names no {amount} or {line_amount}")
        if pay.per == "order" and outside_lists(pay.input) & {"ref", "line_amount"}:
            raise ValueError(
                'operations.pay.input: with per = "order", {ref} and {line_amount} stand in lists'
            )
        if self.money_for(pay) == "text":
            raise ValueError('operations.pay.money: amounts are written as "minor", "point" or "comma"')
        return self

    @property
    def lifts(self) -> dict[str, str]:
        """Return the kinds of blocks that may be lifted, with what ``{block}`` says for each."""
        reads = (self.operations.card, self.operations.blocks)
        return {rule.kind: rule.lift for one in reads if one for rule in one.blocks if rule.lift}

    @property
    def needs_pin(self) -> bool:
        """Tell whether fees or card can be read with the patron's PIN only."""
        reads = (self.operations.fees, self.operations.card, self.operations.blocks)
        return any(one is not None and names(one.input) & {"pin"} for one in reads)

    def money_for(self, operation: Operation) -> Money:
        """Return how amounts of an operation are written."""
        return operation.money or self.money

    def dates_for(self, operation: Operation) -> Dates:
        """Return how days of an operation are written."""
        return operation.dates or self.dates


def builtin() -> list[str]:
    """Return the names of the presets inside the package."""
    folder = files("ils_payment_opac_soap") / "presets"
    return sorted(one.name.removesuffix(".toml") for one in folder.iterdir() if one.name.endswith(".toml"))


def read_builtin(name: str) -> Mapping[str, Any]:
    """Return the content of a preset inside the package."""
    resource = files("ils_payment_opac_soap") / "presets" / f"{name}.toml"
    return tomllib.loads(resource.read_text(encoding="utf-8"))


def read_wsdl(name: str, folder: Path | None) -> bytes:
    """Return a WSDL: a file beside the library's own preset, by its whole path, or one of the package."""
    own = (folder / name) if folder is not None else Path(name)
    if own.is_absolute() and own.exists():
        return own.read_bytes()
    return (files("ils_payment_opac_soap") / "wsdl" / Path(name).name).read_bytes()
