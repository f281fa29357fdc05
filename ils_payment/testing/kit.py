"""The pytest plugin of the contract kits: ``pytest -p ils_payment.testing.kit``.

A class of tests that inherits from ``LibrarySystemContract`` (:mod:`ils_payment.testing.library_system`) or
``ProviderContract`` (:mod:`ils_payment.testing.provider`) names its stand as ``on``; what the plugin does not
declare is not asked for, but there is a test that it is refused. With ``--contracts-json`` the last line
is one JSON object: how many tests passed for each stand.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ils_payment.testing.stands import CannotStageError, Stand

if TYPE_CHECKING:
    from collections.abc import Generator

# Assertions in the contracts show their values only if pytest rewrites the modules before they are imported.
pytest.register_assert_rewrite("ils_payment.testing.library_system", "ils_payment.testing.provider")

_COUNT = "ils-payment-contracts"
_ABSENT = (False, "no", "none")
"""Values by which a capability says that there is nothing."""

_KNOWN: dict[type[Stand], Any] = {}


def declared(**capabilities: Any) -> pytest.MarkDecorator:  # noqa: ANN401 - values of any capability
    """Mark a test as one for plugins whose capabilities have these values; a tuple allows several."""
    mark: pytest.MarkDecorator = pytest.mark.declared(**capabilities)
    return mark


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the JSON line."""
    parser.addoption(
        "--contracts-json", action="store_true", help="end with one JSON line: tests passed for each stand"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    config.addinivalue_line("markers", "contract: a test of a contract kit")
    config.addinivalue_line("markers", "declared(**capabilities): only for plugins that declare these")
    if config.getoption("--contracts-json") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Count(), _COUNT)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the plugin does not declare, and tell the others which stand they are for."""
    apply: list[pytest.Item] = []
    other: list[pytest.Item] = []
    count = config.pluginmanager.get_plugin(_COUNT)
    for item in items:
        stand = _stand_of(item)
        if stand is None:
            apply.append(item)
            continue
        item.add_marker(pytest.mark.contract)
        item.user_properties.append(("contract", stand.name))
        can = _capabilities(stand)
        needed = [pair for mark in item.iter_markers("declared") for pair in mark.kwargs.items()]
        lacking = {name for name, wanted in needed if not _is_among(getattr(can, name), wanted)}
        (other if lacking else apply).append(item)
        if count is not None:
            absent = {name for name in lacking if getattr(can, name) in _ABSENT}
            count.absent.setdefault(stand.name, set()).update(absent)
    if other:
        config.hook.pytest_deselected(items=other)
        items[:] = apply


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Skip a test whose stand cannot do what it asks for, and say what that was."""
    try:
        return (yield)
    except CannotStageError as error:
        pytest.skip(str(error))


class _Count:
    """What passed, by stand; with several processes it counts in the one that collects the reports."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.absent: dict[str, set[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that passed."""
        if report.when == "call" and report.passed:
            self.passed.update(str(name) for key, name in report.user_properties if key == "contract")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401 - not exported
        """Say what is declared absent, so that nobody takes what does not apply for passed."""
        for name, absent in sorted(self.absent.items()):
            if absent:
                terminalreporter.write_line(f"{name} declares absent: {', '.join(sorted(absent))}")

    def pytest_unconfigure(self) -> None:
        """End with the JSON line, after everything that pytest says itself."""
        sys.stdout.write(json.dumps({"passed": dict(sorted(self.passed.items()))}) + "\n")


def _stand_of(item: pytest.Item) -> type[Stand] | None:
    found = getattr(getattr(item, "cls", None), "on", None)
    return found if isinstance(found, type) and issubclass(found, Stand) else None


def _is_among(value: object, wanted: object) -> bool:
    return value in wanted if isinstance(wanted, tuple) else value == wanted


def _capabilities(stand: type[Stand]) -> Any:  # noqa: ANN401 - of a library system or of a provider
    if stand not in _KNOWN:
        opened: Any = stand()
        _KNOWN[stand] = opened.open().capabilities()
    return _KNOWN[stand]
