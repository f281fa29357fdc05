"""Bibliographic records in the five forms that the simulated Koha offers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pymarc import Field, Indicators, Record, Subfield, record_to_xml

if TYPE_CHECKING:
    from ils_payment_koha.simulator.render import Renderer
    from ils_payment_koha.simulator.state import Biblio

PUBLIC_FORMS = ("application/marcxml+xml", "application/marc-in-json", "application/marc", "text/plain")
FORMS = ("application/json", *PUBLIC_FORMS)

_EMPTY = (
    "abstract", "age_restriction", "cn_class", "cn_item", "cn_source", "cn_suffix", "collection_issn",
    "collection_title", "collection_volume", "ean", "edition_statement", "illustrations", "issn",
    "lc_control_number", "material_size", "medium", "notes", "number", "part_name", "part_number",
    "publication_year", "serial_total_issues", "series_title", "uniform_title", "url", "volume",
    "volume_date", "volume_description",
)  # fmt: skip


def book(fields: list[tuple[str, str, list[tuple[str, str]]]]) -> Record:
    """Return a MARC 21 record of (tag, two indicators, [(code, value), ...])."""
    record = Record(leader="00000nam a2200000 i 4500")
    record.add_field(*(_field(*entry) for entry in fields))  # type: ignore[no-untyped-call]  # pymarc leaves it so
    # The leader's lengths are known once the record has been written.
    raw = record.as_marc()
    record.leader = type(record.leader)(raw[:24].decode())
    return record


def _field(tag: str, indicators: str, subfields: list[tuple[str, str]]) -> Field:
    parts = [Subfield(code=code, value=value) for code, value in subfields]
    return Field(tag=tag, indicators=Indicators(*indicators), subfields=parts)


def written(biblio: Biblio, form: str, renderer: Renderer) -> bytes:
    """Return *biblio* in *form*."""
    record = biblio.record
    match form:
        case "application/json":
            return _compact(_as_object(biblio, renderer))
        case "application/marc-in-json":
            return _compact(record.as_dict())
        case "application/marcxml+xml":
            return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(record_to_xml(record, namespace=True))  # type: ignore[no-untyped-call]  # pymarc leaves it so
        case "application/marc":
            return bytes(record.as_marc())
        case "text/plain":
            return _as_text(record).encode()
    raise ValueError(form)


def content_type(form: str) -> str:
    """Return the content type that Koha gives to *form* (plain text comes as a byte stream, as seen)."""
    return {
        "application/json": "application/json; charset=utf8",
        "text/plain": "application/octet-stream",
    }.get(form, form)


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _as_object(biblio: Biblio, renderer: Renderer) -> dict[str, Any]:
    record = biblio.record
    year = _sub(record, "264", "c")
    return dict.fromkeys(_EMPTY) | {
        "author": _sub(record, "100", "a"),
        "biblio_id": biblio.biblio_id,
        "cn_sort": "",
        "copyright_date": int(year) if year and year.isdecimal() else None,
        "creation_date": renderer.day(biblio.created),
        "framework_id": "",
        "isbn": _sub(record, "020", "a"),
        "item_type": _sub(record, "942", "c"),
        "pages": _sub(record, "300", "a"),
        "publication_place": _sub(record, "264", "a"),
        "publisher": _sub(record, "264", "b"),
        "serial": False,
        "subtitle": _sub(record, "245", "b"),
        "timestamp": renderer.time(biblio.created),
        "title": _sub(record, "245", "a"),
    }


def _sub(record: Record, tag: str, code: str) -> str | None:
    for field in record.get_fields(tag):
        for value in field.get_subfields(code):
            return str(value)
    return None


def _as_text(record: Record) -> str:
    lines = [f"LDR {record.leader}"]
    for field in record.fields:
        if field.is_control_field():
            lines.append(f"{field.tag}     {field.data}")
            continue
        head = f"{field.tag} {field.indicator1}{field.indicator2} "
        for subfield in field.subfields:
            lines.append(f"{head}_{subfield.code}{subfield.value}")
            head = " " * 7
    return "\n".join(lines)
