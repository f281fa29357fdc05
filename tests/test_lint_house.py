"""Rules of the house that no general linter knows, read from the product's own syntax trees.

Clock, chance and network come through the host only; a crash is never caught; nothing outside is
asked while a transaction is open.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = [
    path
    for room in ("ils_payment", "adapters", "providers", "runners")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "migrations/versions" not in path.as_posix()
]
WORLD = ROOT / "ils_payment" / "world.py"

# Calls by their full name, whatever they were imported as.
FORBIDDEN = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.sleep",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "os.urandom",
    "os.getrandom",
    "uuid.uuid1",
    "uuid.uuid4",
    "socket.socket",
    "socket.create_connection",
    "urllib.request.urlopen",
    "http.client.HTTPConnection",
    "http.client.HTTPSConnection",
    "smtplib.SMTP",
    "smtplib.SMTP_SSL",
    "requests.Session",
    "requests.session",
    *(f"requests.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "options", "request")),
}
FORBIDDEN_ROOMS = ("random.", "secrets.")

# The calls that go outside. ``prepare`` is pure and may stand in a transaction.
OUTSIDE = {
    "account", "card", "check", "close", "find", "find_credits", "find_patron", "notice", "read",
    "recent_credits", "send_mail", "settle", "sign_in", "start", "titles",
}  # fmt: skip


def _may_touch_the_world(path: Path) -> bool:
    """The world itself, simulators (remotes of their own), and what plugin authors test with."""
    parts = path.relative_to(ROOT).parts
    return path == WORLD or "simulator" in parts or path.stem == "simulator" or parts[1] == "testing"


def _serves(path: Path) -> bool:
    """The rooms that open doors to the operating system: they time requests and wait for sockets."""
    return path.relative_to(ROOT).parts[1] in {"cli", "web"}


def _imported(tree: ast.AST) -> dict[str, str]:
    """Return what each name of a module stands for: ``{"datetime": "datetime.datetime"}``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                local = one.asname or one.name.partition(".")[0]
                names[local] = one.name if one.asname else local
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({one.asname or one.name: f"{node.module}.{one.name}" for one in node.names})
    return names


def _dotted(node: ast.AST) -> str | None:
    """Return ``a.b.c`` for a chain of attributes of a name, else None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else None


class _WithoutAnnotations(ast.NodeTransformer):
    """A type in an annotation is named, not used."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _used(tree: ast.AST) -> list[tuple[int, str]]:
    """Return every dotted name that is used, by line, with imports resolved."""
    names = _imported(tree)
    found = []
    for node in ast.walk(_WithoutAnnotations().visit(tree)):
        if isinstance(node, (ast.Attribute, ast.Name)) and (dotted := _dotted(node)):
            first, _, rest = dotted.partition(".")
            if first in names:
                found.append((node.lineno, names[first] + (f".{rest}" if rest else "")))
    return found


def _forbidden(source: str) -> list[str]:
    return [
        f"{line}: {name}"
        for line, name in _used(ast.parse(source))
        if name in FORBIDDEN or name.startswith(FORBIDDEN_ROOMS)
    ]


def _outside_in_transactions(source: str) -> list[str]:
    """Return calls to the outside that stand inside of a ``with ...unit()`` block."""
    found: list[str] = []
    for block in ast.walk(ast.parse(source)):
        if not isinstance(block, ast.With) or not any(_opens_unit(item.context_expr) for item in block.items):
            continue
        calls = [node for node in ast.walk(ast.Module(block.body, [])) if isinstance(node, ast.Call)]
        found += [f"{one.lineno}: {ast.unparse(one.func)}" for one in calls if _goes_outside(one.func)]
    return found


def _opens_unit(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "unit"


def _goes_outside(function: ast.AST) -> bool:
    """``desk.system.account``, ``provider.read``, ``desk.providers[name].start``, ``world.send_mail``."""
    if not isinstance(function, ast.Attribute) or function.attr not in OUTSIDE:
        return False
    owner = ast.unparse(function.value).rpartition(".")[2]
    return owner in {"system", "provider", "world"} or owner.startswith("providers[")


def _handlers(source: str) -> list[str]:
    """Return handlers that would catch a crash."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            caught = "everything" if node.type is None else ast.unparse(node.type)
            if node.type is None or "BaseException" in caught:
                found.append(f"{node.lineno}: except {caught}")
    return found


def _names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_rooms_are_where_this_test_looks_for_them():
    names = {_names(path) for path in PRODUCT}
    assert {"ils_payment/flows/settle.py", "ils_payment/world.py", "ils_payment/runner.py"} <= names
    assert any(name.startswith("adapters/koha/ils_payment_koha/") for name in names)
    assert any(name.startswith("providers/stripe/ils_payment_stripe/") for name in names)


@pytest.mark.parametrize(
    "path", [path for path in PRODUCT if not _may_touch_the_world(path) and not _serves(path)], ids=_names
)
def test_clock_chance_and_network_come_through_the_host_only(path):
    assert _forbidden(path.read_text()) == []


def test_the_doors_read_no_clock_of_dates_and_roll_no_dice_themselves():
    """Pages and commands may time a request and wait; what is stored or decided takes the world's clock."""
    allowed = ("time.", "socket.")
    found = {
        _names(path): [
            use for use in _forbidden(path.read_text()) if not use.split(": ")[1].startswith(allowed)
        ]
        for path in PRODUCT
        if _serves(path)
    }
    assert {name: uses for name, uses in found.items() if uses} == {}


@pytest.mark.parametrize("path", PRODUCT, ids=_names)
def test_no_handler_would_survive_a_crash(path):
    assert _handlers(path.read_text()) == []


@pytest.mark.parametrize("path", sorted((ROOT / "ils_payment" / "flows").glob("*.py")), ids=_names)
def test_nothing_outside_is_asked_while_a_transaction_is_open(path):
    assert _outside_in_transactions(path.read_text()) == []


def test_the_store_and_the_domain_know_nothing_of_the_outside():
    for room in ("store", "domain"):
        for path in (ROOT / "ils_payment" / room).glob("*.py"):
            used = {name.partition(".")[0] for _, name in _used(ast.parse(path.read_text()))}
            assert not used & {"requests", "urllib3", "http", "smtplib", "stripe"}, path


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("import time\ntime.time()", True),
        ("from time import sleep as nap\nnap(1)", True),
        ("from datetime import datetime\ndatetime.now()", True),
        ("import datetime\nnow = datetime.datetime.now", True),
        ("import random\nrandom.random()", True),
        ("from secrets import token_bytes\ntoken_bytes(9)", True),
        ("import requests as r\nr.get('x')", True),
        ("import requests\nrequests.Timeout", False),
        (
            "import requests\ndef f(a: requests.Session) -> requests.Session:\n    b: requests.Session = a",
            False,
        ),
        ("import requests\nb: object = requests.Session()", True),
        ("from datetime import datetime\ndatetime.fromisoformat('x')", False),
        ("host.now()", False),
    ],
)
def test_the_search_for_the_clock_would_find_it(source, caught):
    assert bool(_forbidden(source)) is caught


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("with store.unit() as unit:\n    desk.system.account(p)", True),
        ("with a.b.unit() as u, c:\n    if x:\n        desk.providers['s'].read(ref)", True),
        ("with store.unit():\n    provider.start(attempt)", True),
        ("with store.unit():\n    provider.prepare(attempt)", False),
        ("with store.unit():\n    x = 1\ndesk.system.settle(order)", False),
        ("with store.read():\n    pass", False),
    ],
)
def test_the_search_for_open_transactions_would_find_them(source, caught):
    assert bool(_outside_in_transactions(source)) is caught


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("try:\n    x()\nexcept:\n    pass", True),
        ("try:\n    x()\nexcept BaseException:\n    pass", True),
        ("try:\n    x()\nexcept (ValueError, BaseException):\n    pass", True),
        ("try:\n    x()\nexcept Exception:\n    pass", False),
    ],
)
def test_the_search_for_handlers_would_find_them(source, caught):
    assert bool(_handlers(source)) is caught
