"""What the product's own source must not contain, read from its syntax trees, templates and scripts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = [
    path
    for room in ("ils_payment", "adapters", "providers", "runners")
    for path in sorted((ROOT / room).rglob("*.py"))
]
TEMPLATES = sorted((ROOT / "ils_payment").rglob("templates/**/*.html"))
SCRIPTS = sorted((ROOT / "ils_payment").rglob("static/*.js"))

CALLS = {"eval", "exec", "compile", "__import__", "pickle.loads", "pickle.load", "marshal.loads", "yaml.load"}
CALLS |= {"os.system", "os.popen", "hashlib.md5", "hashlib.sha1", "ssl._create_unverified_context"}
KEYWORDS = {("shell", True), ("verify", False), ("check_hostname", False), ("autoescape", False)}
MODULES = {"pickle", "marshal", "shelve", "subprocess", "telnetlib", "ftplib", "xml", "lxml", "defusedxml"}
MARKUP = {"render.py", "texts.py"}
"""The only places that write markup themselves, each with its values escaped."""

READS_XML = {
    "adapters/opac_soap/ils_payment_opac_soap/tree.py": ["lxml"],
    "adapters/sisis/ils_payment_sisis/ncip_wire.py": [
        "xml.etree.ElementTree",
        "defusedxml",
        "defusedxml.ElementTree",
    ],
    # A name for types.
    "adapters/sisis/ils_payment_sisis/ncip.py": ["xml.etree.ElementTree"],
}
"""The only places that read XML; the tests of each adapter show what it refuses."""


def findings(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS:
                found.append(f"{node.lineno}: {name}")
            given = [(one.arg, getattr(one.value, "value", None)) for one in node.keywords]
            found += [
                f"{node.lineno}: {word}={value!r}" for word, value in given if (word, value) in KEYWORDS
            ]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            )
            found += [f"{node.lineno}: import {one}" for one in names if one.partition(".")[0] in MODULES]
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        ("eval('1')", True),
        ("import pickle", True),
        ("from xml.etree import ElementTree", True),
        ("session.get(url, verify=False)", True),
        ("hashlib.sha1(b'')", True),
        ("subprocess.run(x, shell=True)", True),
        ("session.get(url, verify=True)", False),
        ("re.compile('x')", False),
    ],
)
def test_a_dangerous_call_is_found(source, bad):
    assert bool(findings(source)) is bad


def test_the_product_runs_no_text_starts_no_process_and_reads_xml_in_known_places():
    found = {name(path): findings(path.read_text()) for path in PRODUCT}
    for place, names in READS_XML.items():
        assert [use.partition("import ")[2] for use in found.pop(place)] == names
    # A backup of PostgreSQL is made by PostgreSQL's own tools, with fixed words and no shell.
    backups = [use for use in found.pop("ils_payment/store/backup.py", []) if "import subprocess" not in use]
    assert backups == []
    assert {path: uses for path, uses in found.items() if uses} == {}


def test_templates_never_switch_escaping_off_and_never_write_scripts():
    assert len(TEMPLATES) > 8
    for path in TEMPLATES:
        # The one picture that is drawn here, from an address of ours, by a library that escapes.
        text = path.read_text().replace("{{ qr|safe }}", "")
        assert not re.search(r"\|\s*safe\b|autoescape\s+false|Markup\(", text), path
        assert not re.search(
            r'<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+="|javascript:|data:', text
        ), path
        for form in re.findall(r"<form\b.*?</form>", text, re.DOTALL):
            assert 'method="get"' in form or "csrf_field" in form, (path, form[:80])


def test_markup_is_made_in_two_places_only():
    makers = {
        path.name
        for path in PRODUCT
        if re.search(r"\bMarkup\(", path.read_text()) and "simulator" not in path.as_posix()
    }
    assert makers <= MARKUP


def test_scripts_write_text_keep_nothing_and_load_nothing_from_elsewhere():
    assert SCRIPTS
    for path in SCRIPTS:
        text = re.sub(r"//.*", "", path.read_text())
        for word in (
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
            "localStorage", "sessionStorage", "indexedDB", "document.cookie", "postMessage", "__proto__",
            "import(", "http:", "https:", "onmessage", "jsonp",
        ):  # fmt: skip
            assert word not in text, (path, word)


STATEMENTS = {
    "ils_payment/store/intake.py",
    "ils_payment/store/migrations/versions/0004_renewals.py",
    "ils_payment/store/triggers.py",
    "ils_payment/store/unit.py",
}
"""Where statements are put together: of names of tables and columns, which are ours, and a whole number."""
PATTERNS = {
    "adapters/koha/ils_payment_koha/wire.py",
    "adapters/onleihe/ils_payment_onleihe/wire.py",
    "adapters/opac_soap/ils_payment_opac_soap/texts.py",
    "adapters/sip2/ils_payment_sip2/patron.py",
    "ils_payment/domain/marker.py",
    "ils_payment/flows/remind.py",
    "ils_payment/web/pages.py",
}
"""Where patterns are put together: of other patterns, and of the decimal sign of the configuration."""
FORMATS = {
    "adapters/koha/ils_payment_koha/adapter.py",
    "adapters/koha/ils_payment_koha/config.py",
    "ils_payment/cli/refunds.py",
    "ils_payment/flows/letters.py",
    "ils_payment/loading.py",
    "ils_payment/store/backup.py",
    "ils_payment/web/render.py",
    "providers/xbezahldienste/ils_payment_xbezahldienste/wire.py",
}
"""Where something is filled in that stands elsewhere: in the program's words, or in the configuration."""


def calls():
    """Every call in the product but in its simulators: where it stands, its node, what is called."""
    for path in PRODUCT:
        if "simulator" not in path.as_posix():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield name(path), node, ast.unparse(node.func)


def is_put_together(node):
    return bool(node.args) and not isinstance(node.args[0], ast.Constant)


def test_no_statement_is_put_together_from_text_that_comes_from_outside():
    """SQL is written with SQLAlchemy's expressions, save in few known places."""
    words = {"text", "sa.text", "sqlalchemy.text", "DDL", "op.execute"}
    found = {
        place
        for place, node, func in calls()
        if place.startswith(("ils_payment/store/", "runners/")) and is_put_together(node)
        if func in words or func.endswith("exec_driver_sql")
    }
    assert found == STATEMENTS


def test_patterns_are_made_of_nothing_that_comes_from_outside():
    found = {
        place
        for place, node, func in calls()
        if func.startswith("re.") and func != "re.escape" and is_put_together(node)
    }
    assert found == PATTERNS


def test_templates_and_formats_are_made_of_nothing_that_comes_from_outside():
    assert not [place for place, _, func in calls() if func.endswith(("from_string", "Template"))]
    found = {
        place
        for place, node, _ in calls()
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"format", "format_map"}
        if not isinstance(node.func.value, ast.Constant)
    }
    assert found == FORMATS
