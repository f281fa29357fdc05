"""XML as plain data, and back: the only module that reads or writes XML itself.

What comes from outside may hold no document type: so there are no entities to expand and nothing external to
fetch. Namespaces are dropped, because makers and versions differ in them and names do not clash inside one
answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Mapping

Tree = dict[str, list[Any]] | str
"""An element: its text, or its children by name, each a list; ``@name`` is an attribute, ``#text`` a text."""

XMLError = etree.LxmlError
"""What lxml raises for a text that XML cannot carry."""

_MOST_ELEMENTS = 20_000
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_STEP = re.compile(r"(?P<name>\*|@?[\w.-]+|#text)(?:\[(?P<child>[\w.-]+)=(?P<value>[^\]]*)\])?")


class TreeError(ValueError):
    """The bytes are no XML that is read here; the text says why and holds nothing of them."""


def read(body: bytes, charset: str | None = None) -> dict[str, list[Any]]:
    """Return the document as ``{root: [element]}``; TreeError for anything that is none.

    *charset* is what the HTTP header says: it counts only where the document's own word does not hold.
    """
    try:
        root = _parsed(body, None)
    except etree.XMLSyntaxError:
        root = _parsed_as(body, charset)
    if root.getroottree().docinfo.doctype:
        raise TreeError("it has a document type (DTD), which is refused")
    if sum(1 for _ in root.iter()) > _MOST_ELEMENTS:
        raise TreeError("it has too many elements")
    return {_local(root): [_tree(root)]}


def _parsed(body: bytes, encoding: str | None) -> Any:  # noqa: ANN401 - lxml has no types
    """Parse without network, DTD, entities and without lifting libxml2's own limits."""
    parser = etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    root = etree.fromstring(body, parser)
    if root is None:
        raise TreeError("it is empty")
    return root


def _parsed_as(body: bytes, charset: str | None) -> Any:  # noqa: ANN401 - lxml has no types
    if charset is None:
        raise TreeError("it is not well-formed XML, or in another character set than it says")
    try:
        return _parsed(body, charset)
    except (etree.XMLSyntaxError, LookupError):
        raise TreeError("it is not well-formed XML, or in another character set than it says") from None


def _local(element: Any) -> str:  # noqa: ANN401 - lxml has no types
    return str(etree.QName(element).localname)


def _tree(element: Any) -> Tree:  # noqa: ANN401 - lxml has no types
    if element.get(_NIL) in {"true", "1"}:
        return ""
    found: dict[str, list[Any]] = {}
    for name, value in element.attrib.items():
        if not name.startswith(_XSI):
            found.setdefault(f"@{etree.QName(name).localname}", []).append(str(value))
    for child in element:
        if not isinstance(child.tag, str):
            # An entity that nobody declared: libxml2 hands it over as a node of its own.
            raise TreeError("it refers to an entity, which is refused")
        found.setdefault(_local(child), []).append(_tree(child))
    text = (element.text or "").strip()
    if not found:
        return text
    if text:
        found["#text"] = [text]
    return _without_pairs(found)


def _without_pairs(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Read ``item`` elements with ``key`` and ``value`` (how SOAP toolkits write a map) as what they mean."""
    items = found.get("item")
    if items is None or len(found) > 1:
        return found
    if not all(isinstance(one, dict) and set(one) == {"key", "value"} for one in items):
        return found
    named: dict[str, list[Any]] = {}
    for one in items:
        named.setdefault(text(one["key"][0]), []).extend(one["value"])
    return named


def text(tree: Tree) -> str:
    """Return the text of an element, whether or not it has attributes; empty for one with children."""
    if isinstance(tree, str):
        return tree
    return str(tree.get("#text", [""])[0])


def find(tree: Tree, path: str) -> list[Any]:
    """Return every element at *path*, in the order of the document; one or many are the same.

    Steps are parted by ``/``. ``*`` is any child, ``//name`` at the beginning any descendant, ``@name`` an
    attribute, ``name[child=text]`` only those whose child says so.
    """
    if path.startswith("//"):
        first, _, rest = path[2:].partition("/")
        nodes = _step(_descendants(tree), first, deep=True)
    else:
        nodes, rest = [tree], path
    for step in rest.split("/") if rest else ():
        nodes = _step(nodes, step)
    return nodes


def texts(tree: Tree, path: str) -> list[str]:
    """Return the texts at *path* that are not empty."""
    return [value for node in find(tree, path) if (value := text(node))]


def first(tree: Tree, path: str) -> str:
    """Return the first text at *path*; empty where there is none or no path."""
    return next(iter(texts(tree, path)), "") if path else ""


def is_path(path: str) -> bool:
    """Tell whether *path* can be followed."""
    steps = path.removeprefix("//").split("/")
    return all(_STEP.fullmatch(step) for step in steps)


def _descendants(tree: Tree) -> list[Any]:
    nodes: list[Any] = [tree]
    for node in nodes:
        if isinstance(node, dict):
            nodes.extend(child for group in node.values() for child in group if isinstance(child, dict))
    return nodes


def _step(nodes: list[Any], step: str, *, deep: bool = False) -> list[Any]:
    parts = _STEP.fullmatch(step)
    if parts is None:
        return []
    name, child, wanted = parts["name"], parts["child"], parts["value"]
    found: list[Any] = []
    for node in nodes:
        if not isinstance(node, dict):
            # The text of an element without attributes is the element itself.
            found += [node] if name == "#text" and node and not deep else []
        elif name == "*":
            found += [one for key, group in node.items() if key[0] not in "@#" for one in group]
        else:
            found += node.get(name, [])
    if child is None:
        return found
    return [one for one in found if isinstance(one, dict) and wanted in texts(one, child)]


def element(name: str, content: object, namespace: str = "", *, unqualified: bool = False) -> Any:  # noqa: ANN401 - lxml has no types
    """Return an element of *content*: a text, a mapping (``@name``, ``#text``, children), or None for empty.

    *unqualified*: the children are in no namespace.
    """
    made = etree.Element(
        f"{{{namespace}}}{name}" if namespace else name, nsmap=_nsmap(namespace, unqualified)
    )
    _fill(made, content, "" if unqualified else namespace)
    return made


def _nsmap(namespace: str, unqualified: bool) -> dict[str | None, str]:  # noqa: FBT001 - one call, just above
    if not namespace:
        return {}
    return {"m" if unqualified else None: namespace}


def _fill(made: Any, content: object, namespace: str) -> None:  # noqa: ANN401 - lxml has no types
    if not isinstance(content, dict):
        made.text = None if content is None else str(content)
        return
    for name, value in content.items():
        if name == "#text":
            made.text = str(value)
        elif name.startswith("@"):
            made.set(name[1:], str(value))
        else:
            for one in value if isinstance(value, list) else [value]:
                child = etree.SubElement(made, f"{{{namespace}}}{name}" if namespace else name)
                _fill(child, one, namespace)


_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def envelope(body: Any, header: Any = None, attributes: Mapping[str, str] | None = None) -> bytes:  # noqa: ANN401 - lxml has no types
    """Return a SOAP 1.1 envelope around an element."""
    made = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soap": _SOAP})
    if header is not None:
        etree.SubElement(made, f"{{{_SOAP}}}Header").append(header)
    inner = etree.SubElement(made, f"{{{_SOAP}}}Body")
    for name, value in (attributes or {}).items():
        inner.set(f"{{{_SOAP}}}{name}", value)
    inner.append(body)
    return written(made)


def written(made: Any) -> bytes:  # noqa: ANN401 - lxml has no types
    """Return an element as a document in UTF-8."""
    return bytes(etree.tostring(made, xml_declaration=True, encoding="utf-8"))
