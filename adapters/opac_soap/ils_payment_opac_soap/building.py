"""Requests, built and not sent: with zeep after a WSDL, or from the template alone.

The WSDL is a local file whose hash the preset or the configuration names; nothing else is ever loaded, and
the address always comes from the configuration.
"""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import zeep
import zeep.exceptions

from ils_payment.errors import ConfigurationError
from ils_payment_opac_soap import tree
from ils_payment_opac_soap.preset import read_wsdl
from ils_payment_opac_soap.templates import filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment_opac_soap.config import SOAPConfig
    from ils_payment_opac_soap.preset import Operation, Service

_SETTINGS = {"forbid_dtd": True, "forbid_entities": True, "forbid_external": True, "xml_huge_tree": False}
_ENCODED = "http://schemas.xmlsoap.org/soap/encoding/"


class UnbuildableError(ConfigurationError):
    """A request cannot be made from the preset; certainly nothing was sent."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready to be sent. Its body may hold a PIN, so it never shows."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class _Nowhere:
    """What zeep takes for its transport: it loads nothing and hands requests back instead of sending them."""

    def load(self, url: str) -> NoReturn:
        """Refuse: whatever a WSDL imports has to stand in the file itself."""
        raise zeep.exceptions.ExternalReferenceForbidden(url)  # type: ignore[no-untyped-call]  # zeep's own

    def post_xml(self, address: str, envelope: Any, headers: Mapping[str, str]) -> Prepared:  # noqa: ANN401 - lxml has no types
        """Return what would be sent."""
        return Prepared(address, dict(headers), tree.written(envelope))


class Builder:
    """Builds requests. Keeps the WSDLs that were read, which may be lost at any time."""

    def __init__(self, config: SOAPConfig) -> None:
        self._config = config
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def build(
        self, operation: Operation, values: Mapping[str, str], lines: Sequence[Mapping[str, str]] = ()
    ) -> Prepared:
        """Return the request of *operation* with *values*; UnbuildableError where it cannot be made."""
        service = self._config.spoken.services[operation.service]
        url = self._config.address_of(operation.service)
        try:
            content = filled(operation.input, values, lines)
            header = filled(service.header, values)
            if service.style == "wsdl":
                return self._after_wsdl(service, operation, url, content, header)
            return _without_wsdl(service, operation.name, url, content, header)
        except ConfigurationError:
            raise
        except KeyError as error:
            raise UnbuildableError(
                f"The request {operation.name} needs {error}, which is not known."
            ) from None
        except (
            zeep.exceptions.Error,
            tree.XMLError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
        ) as error:
            # Its text may repeat what was to be sent.
            raise UnbuildableError(
                f"The request {operation.name} cannot be made after the WSDL ({type(error).__name__}).",
                mend="Compare the operation's name and input in the preset with the WSDL.",
            ) from None

    def _after_wsdl(
        self,
        service: Service,
        operation: Operation,
        url: str,
        content: Any,  # noqa: ANN401 - a filled template
        header: Any,  # noqa: ANN401 - a filled template
    ) -> Prepared:
        client = self._client(operation.service, service)
        proxy = client.create_service(service.binding, url)
        headers = [client.get_element(service.header_element)(**_zeep(header))] if service.header else None
        made: Prepared = proxy[operation.name](**_zeep(content), _soapheaders=headers)
        return made

    def _client(self, name: str, service: Service) -> Any:  # noqa: ANN401 - zeep's proxies have no types
        """Return zeep's client of a service; two threads at worst read a small file twice."""
        client = self._clients.get(name)
        if client is None:
            content = wsdl_bytes(service, self._config)
            settings = zeep.Settings(raw_response=True, strict=True, **_SETTINGS)
            with self._lock:
                client = zeep.Client(io.BytesIO(content), transport=_Nowhere(), settings=settings)  # type: ignore[no-untyped-call]  # zeep's own
                self._clients[name] = client
        return client


def wsdl_bytes(service: Service, config: SOAPConfig) -> bytes:
    """Return a WSDL whose hash is the one that was named; ConfigurationError otherwise."""
    try:
        content = read_wsdl(service.wsdl, config.preset_folder)
    except OSError as error:
        raise ConfigurationError(
            f"The WSDL {service.wsdl} cannot be read ({error.strerror}).", mend="Correct its file name."
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != service.sha256.lower():
        raise ConfigurationError(
            f"The WSDL {service.wsdl} is not the one that was approved: its SHA-256 is {found}.",
            mend="Compare the file with the one of the maker; if it is right, write this as sha256.",
        )
    return content


def _zeep(content: Any) -> Any:  # noqa: ANN401 - a filled template has any shape
    """Write attributes and texts of elements as zeep calls them."""
    if isinstance(content, dict):
        return {_zeep_name(name): _zeep(value) for name, value in content.items()}
    return [_zeep(one) for one in content] if isinstance(content, list) else content


def _zeep_name(name: str) -> str:
    return "_value_1" if name == "#text" else name.removeprefix("@")


def _without_wsdl(service: Service, name: str, url: str, content: Any, header: Any) -> Prepared:  # noqa: ANN401 - filled templates
    """Build a document, or a call whose arguments have places and no names."""
    if service.style == "xml":
        whole = {**{f"@{key}": value for key, value in service.attributes.items()}, name: content}
        body = tree.written(tree.element(service.root, whole, service.namespace))
        return Prepared(url, {"Content-Type": service.content_type}, body)
    made = tree.element(name, content, service.namespace, unqualified=True)
    above = tree.element(service.header_element, header) if service.header else None
    body = tree.envelope(made, above, {"encodingStyle": _ENCODED})
    action = f'"{service.namespace}#{name}"'
    return Prepared(url, {"Content-Type": service.content_type, "SOAPAction": action}, body)
