"""Change rooms bit by bit and count how many of the changes a test notices; ends with one JSON line.

Works on a copy in `build/mutation`, so that nothing in the tree changes. First the rooms' tests run once, to
see which of them reach which line. Then `--sample 12` changes of each module, drawn with `--seed`, are tried
one by one (0: all of them): a process of its own puts the changed function in the place of the right one, and
runs tests that reach the changed line until one fails: first `--most` of them, at the end the others.
Longer than `--patience` seconds counts as noticed: the change never came to an end.
"""

import argparse
import ast
import functools
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutation"
REACHED = COPY / ".coverage"
PATHS = (".", "adapters/koha", "providers/stripe", "runners/procrastinate", "examples/ils-payment-example")
FOLDERS = ("ils_payment", "adapters", "providers", "runners", "tests", "examples", "benchmarks")
_FLOWS = (
    "pay observe freeze settle readback work hands advance refund charge reversals decide deciding renew "
    "renew_late reconcile reconcile_library reconcile_provider"
)
# Dying everywhere takes the same ways again, for minutes.
_FLOW_TESTS = [
    f"tests/flows/{file.name}"
    for file in sorted((ROOT / "tests" / "flows").glob("test_*.py"))
    if file.stem != "test_crash_everywhere"
]
ROOMS: dict[str, tuple[list[str], list[str]]] = {
    "money": (["money"], ["tests/domain"]),
    "domain": (
        [
            f"domain.{name}"
            for name in ["ledger", "marker", "payable", "settling", "states", "refunds", "decisions"]
        ],
        ["tests/domain"],
    ),
    "flows": ([f"flows.{name}" for name in _FLOWS.split()], [*_FLOW_TESTS, "tests/store"]),
    "store": (
        [f"store.{name}" for name in ["payments", "orders", "chain", "refunds", "cases", "journal"]],
        ["tests/store", *_FLOW_TESTS],
    ),
}
"""For each room: the modules that are changed, and the tests of which one has to notice."""

ENDS = {0: "not noticed", None: "endless"}
OPPOSITES: dict[type[ast.AST], type[Any]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}


@dataclass(frozen=True)
class Change:
    """One change: the lines of its statement down to it, what it is, and its place in the module's tree."""

    module: str
    function: str
    lines: range
    what: str
    place: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.module}.{self.function}, line {self.lines[-1]}: {self.what}"


Job = tuple[Change, list[str]]
Way = tuple[str, Callable[[], Any]]


def main() -> None:
    """Measure the rooms that are named, or all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rooms", default="")
    options.add_argument("--sample", type=int, default=12, help="changes of each module; 0 for all")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--most", type=int, default=40, help="tests for each change at first")
    options.add_argument("--patience", type=int, default=900, help="seconds for each change")
    options.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    options.add_argument("--again", action="store_true", help="take the copy that is there")
    given = options.parse_args()
    rooms = given.rooms.split() or list(ROOMS)
    if not given.again:
        make_copy()
    os.chdir(COPY)
    sys.path[:0] = [str(COPY / path) for path in PATHS]
    preload(rooms)
    if not REACHED.exists():
        see_what_is_reached(sorted({test for room in rooms for test in tests_of(room)}), given.workers)
    reached = read_what_was_reached()
    results = {room: measured(room, reached, given) for room in rooms}
    sums = {key: sum(one[key] for one in results.values()) for key in ("tried", "noticed")}
    print(json.dumps({"rooms": results, **sums, "sample": given.sample, "seed": given.seed}))


def make_copy() -> None:
    """Copy what the tests need."""
    shutil.rmtree(COPY, ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, COPY / name, ignore=shutil.ignore_patterns("__pycache__", "found"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, COPY / name)


def tests_of(room: str) -> list[str]:
    """Return the files of a room's tests."""
    named = [Path(name) for name in ROOMS[room][1]]
    return [str(file) for one in named for file in ([one] if one.suffix else sorted(one.glob("test_*.py")))]


def see_what_is_reached(files: list[str], workers: int) -> None:
    """Run the tests of *files* once, some files at a time, and note which test reaches which lines."""
    waiting = files[::-1]
    running: dict[int, str] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            file = waiting.pop()
            running[started(functools.partial(look, file))] = file
        time.sleep(0.05)
        for child, code in [(child, ended(child)) for child in running]:
            if code:
                sys.exit(f"{running[child]} fails without any change; {COPY}/mutation.log says where.")
            if code == 0:
                del running[child]
    measuring = coverage.Coverage(data_file=str(REACHED), config_file=False)
    measuring.combine([str(COPY)])
    measuring.save()


def look(file: str) -> int:
    """Run the tests of one file and note for each which lines it reaches, its fixtures included."""
    measuring = coverage.Coverage(
        data_file=str(REACHED),
        data_suffix=Path(file).stem,
        branch=True,
        source=["ils_payment"],
        config_file=False,
    )

    class Names:
        """Tells the measurement which test is running."""

        def pytest_runtest_logstart(self, nodeid: str) -> None:
            measuring.switch_context(nodeid)

    measuring.start()
    code = pytest.main([file, *quiet(), "-k", "not postgresql"], plugins=[Names()])
    measuring.stop()
    measuring.save()
    return int(code)


def quiet() -> list[str]:
    """Return how pytest is called."""
    # What the children share is imported before pytest could look into it.
    warned = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return ["-q", "-x", "--no-header", "--tb=no", "-p", "no:cacheprovider", "--timeout=0", *warned]


def preload(rooms: list[str]) -> None:
    """Import what each child would import, once."""
    importlib.import_module("tests.conftest")
    importlib.import_module("ils_payment_koha.simulator")
    for room in rooms:
        for name in ROOMS[room][0]:
            importlib.import_module(f"ils_payment.{name}")


def read_what_was_reached() -> dict[str, dict[int, list[str]]]:
    """Return for each module of the program which tests reach each line."""
    data = coverage.CoverageData(str(REACHED))
    data.read()
    found = {}
    for file in data.measured_files():
        name = ".".join(Path(file).relative_to(COPY).with_suffix("").parts)
        found[name] = {line: [t for t in tests if t] for line, tests in data.contexts_by_lineno(file).items()}
    return found


def measured(
    room: str, reached: dict[str, dict[int, list[str]]], given: argparse.Namespace
) -> dict[str, Any]:
    """Try changes of *room*; print each that nobody noticed, and return the counts."""
    dice = random.Random(f"{room} {given.seed}")  # noqa: S311 - a sample
    chosen = []
    for name in ROOMS[room][0]:
        changes = list(changes_of(f"ils_payment.{name}"))
        chosen += dice.sample(changes, min(given.sample or len(changes), len(changes)))
    jobs = []
    for change in chosen:
        lines = reached.get(change.module, {})
        tests = sorted({test for line in change.lines for test in lines.get(line, [])})
        jobs.append((change, dice.sample(tests, len(tests))))
    count: Counter[str] = Counter()
    more = []
    for change, tests, end in ends_of([(change, tests[: given.most]) for change, tests in jobs], given):
        rest = dict(jobs)[change][given.most :]
        if end == "not noticed" and rest:
            # Hardly any change is seen by all tests that come by, so the others look, too.
            more.append((change, rest))
            continue
        count[end] += 1
        tell(change, tests, end)
    for change, _, end in ends_of(more, given):
        count[end] += 1
        tell(change, dict(jobs)[change], end)
    return {"tried": len(jobs), "noticed": count["noticed"] + count["endless"], "endless": count["endless"]}


def tell(change: Change, tests: list[str], end: str) -> None:
    """Print a change that was not noticed by a test that failed."""
    if end != "noticed":
        print(f"{end} by {len(tests)} tests: {change}", flush=True)


def ends_of(jobs: list[Job], given: argparse.Namespace) -> Iterator[tuple[Change, list[str], str]]:
    """Yield how each change ended: noticed, not noticed, not reached (no test comes there) or endless."""
    waiting = jobs[::-1]
    running: dict[int, tuple[Change, list[str], float]] = {}
    while waiting or running:
        while waiting and len(running) < given.workers:
            change, tests = waiting.pop()
            if tests:
                child = started(functools.partial(attempt, change, tests))
                running[child] = (change, tests, time.monotonic() + given.patience)
            else:
                yield change, tests, "not reached"
        time.sleep(0.05)
        for child, (change, tests, deadline) in list(running.items()):
            code = ended(child)
            if code is None and time.monotonic() < deadline:
                continue
            if code is None:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            del running[child]
            yield change, tests, ENDS.get(code, "noticed")


def attempt(change: Change, tests: list[str]) -> int:
    """Put the changed function in the place of the right one, and run *tests*."""
    path = COPY / Path(*change.module.split(".")).with_suffix(".py")
    changed = compile(ast.fix_missing_locations(changed_tree(change)), str(path), "exec", dont_inherit=True)
    right = function_of(change)
    right.__code__ = next(code for code in inside(changed) if code.co_qualname == change.function)
    return int(pytest.main([*tests, *quiet()]))


def function_of(change: Change) -> FunctionType:
    """Return the function object behind properties and decorators."""
    found: Any = importlib.import_module(change.module)
    for part in change.function.split("."):
        found = vars(found)[part]
    for door in ("__func__", "fget", "__wrapped__", "func"):
        found = getattr(found, door, None) or found
    return found


def inside(code: CodeType) -> Iterator[CodeType]:
    """Yield every code object in *code*."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from inside(constant)


def started(work: Callable[[], int]) -> int:
    """Start *work* in a silent child; return its process id."""
    child = os.fork()
    if not child:
        os.setsid()
        with Path("mutation.log").open("a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        code = 70
        try:
            code = work()
        except Exception:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    return child


def ended(child: int, how: int = os.WNOHANG) -> int | None:
    """Return how a child ended, or None while it runs."""
    gone, status = os.waitpid(child, how)
    return os.waitstatus_to_exitcode(status) if gone else None


def parsed(module: str) -> ast.Module:
    """Read a module of the copy."""
    return ast.parse((COPY / Path(*module.split(".")).with_suffix(".py")).read_text(encoding="utf-8"))


def changes_of(module: str) -> Iterator[Change]:
    """Yield every change of the functions of *module*."""
    tree = parsed(module)
    places = {id(node): place for place, node in enumerate(ast.walk(tree))}
    for name, function in functions(tree, ""):
        for first, node in nodes(function.body):
            for number, (what, _) in enumerate(ways(node)):
                lines = range(first, getattr(node, "lineno", first) + 1)
                yield Change(module, name, lines, what, (places[id(node)], number))


def nodes(body: Iterable[ast.AST], first: int = 0) -> Iterator[tuple[int, ast.AST]]:
    """Yield all nodes of *body*, each with the first line of its statement; logging is left out."""
    for node in body:
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith(("log.", "house.world.failpoint(")):
            continue
        start = node.lineno if isinstance(node, ast.stmt) else first
        yield start, node
        yield from nodes(ast.iter_child_nodes(node), start)


def functions(node: ast.AST, inside_of: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions of a module and the methods of its classes, with their names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield inside_of + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from functions(child, f"{inside_of}{child.name}.")


def changed_tree(change: Change) -> ast.Module:
    """Return the tree of the module with the change."""
    tree = parsed(change.module)
    place, number = change.place
    list(ways(list(ast.walk(tree))[place]))[number][1]()
    return tree


def ways(node: ast.AST) -> Iterator[Way]:
    """Yield what can be changed about one node: words for it, and a function that does it."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in OPPOSITES:
            yield turned(node, "ops", operator, in_list=True)
        case ast.BoolOp(op=operator) | ast.BinOp(op=operator) if type(operator) in OPPOSITES:
            yield turned(node, "op", operator)
        case ast.If() | ast.IfExp():
            no = ast.UnaryOp(ast.Not(), node.test, lineno=node.lineno, col_offset=0)
            yield f"not: {ast.unparse(node.test)}", functools.partial(setattr, node, "test", no)
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            nothing = ast.Constant(None, lineno=node.lineno, col_offset=0)
            yield f"None for {ast.unparse(value)}", functools.partial(setattr, node, "value", nothing)
        case ast.Expr(value=ast.Call() as call):
            nothing = ast.Constant(None, lineno=node.lineno, col_offset=0)
            yield f"left out: {ast.unparse(call)}", functools.partial(setattr, node, "value", nothing)
        case ast.Call(keywords=[*_, ast.keyword(arg=str(name))]) if name != "default":
            yield f"left out: {name}= of {ast.unparse(node.func)}", node.keywords.pop
        case ast.Constant(value=bool() as truth):
            yield f"{not truth} for {truth}", functools.partial(setattr, node, "value", not truth)
        case ast.Constant(value=int() as number):
            yield f"{number + 1} for {number}", functools.partial(setattr, node, "value", number + 1)


def turned(node: ast.AST, field: str, operator: ast.AST, *, in_list: bool = False) -> Way:
    """Return the change of an operator into its opposite."""
    other = OPPOSITES[type(operator)]()
    words = f"{type(other).__name__} for {type(operator).__name__} in {ast.unparse(node)}"
    return words, functools.partial(setattr, node, field, [other] if in_list else other)


if __name__ == "__main__":
    main()
