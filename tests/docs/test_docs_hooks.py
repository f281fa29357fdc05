"""``docs/hooks.md`` names every hook and every method of the doors; its examples run."""

from __future__ import annotations

import inspect
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pluggy
import pytest

from ils_payment import hookspecs
from ils_payment._markers import PROJECT
from ils_payment.model import SettledPayment
from ils_payment.ports import (
    Charging,
    Contacting,
    ELendingPlatform,
    Evidencing,
    Expiring,
    Host,
    LibrarySystem,
    Lifting,
    Listing,
    PayingOut,
    PaymentProvider,
    Pricing,
    Refunding,
    Renewing,
    Runner,
    Serving,
)

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("ils_payment_")}
SECTIONS = dict(re.findall(r"^## `?(.+?)`?$\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def call(function) -> str:
    """The function as a caller reads it: ``name(argument, argument)``."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    return f"{function.__name__}({', '.join(names)})"


def methods(door) -> list[str]:
    return [
        call(value)
        for name, value in vars(door).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]


def advances_what_is_due_until_stopped(runner):
    due, done = ["P1", "P2"], threading.Event()

    def advance(payment_id):
        due.remove(payment_id)
        if not due:
            done.set()

    runner.check()
    runner.start(advance, lambda limit: due[:limit])
    runner.wake()
    assert done.wait(10)
    runner.stop()
    assert not runner.thread.is_alive()


@pytest.mark.parametrize(
    "door",
    [
        Charging,
        Contacting,
        Evidencing,
        Renewing,
        Lifting,
        Expiring,
        Pricing,
        Refunding,
        Listing,
        PayingOut,
        Serving,
    ],
)
def test_every_small_door_is_told_with_its_methods(door):
    section = SECTIONS["What only some can"]
    assert f"`{door.__name__}`" in section
    for method in methods(door):
        assert f"`{method}`" in section


def test_there_are_hooks():
    assert len(HOOKS) >= 3


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_heading_with_its_exact_arguments(name):
    section = SECTIONS[call(HOOKS[name])]
    assert "Called" in section
    assert "Return" in section
    assert "```python" in section


def test_no_heading_names_a_hook_that_does_not_exist():
    headings = {heading for heading in SECTIONS if heading.startswith("ils_payment_")}
    assert headings == {call(hook) for hook in HOOKS.values()}


@pytest.mark.parametrize(
    ("heading", "door"),
    [
        ("ils_payment_library_systems()", LibrarySystem),
        ("ils_payment_providers()", PaymentProvider),
        ("ils_payment_elending_platforms()", ELendingPlatform),
        ("ils_payment_runners()", Runner),
        ("What a plugin gets from the host", Host),
    ],
)
def test_every_method_of_a_door_is_listed_with_its_exact_arguments(heading, door):
    assert re.findall(r"^- `(.+?)`:", SECTIONS[heading], re.MULTILINE) == methods(door)


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_a_hook_runs_and_is_accepted_by_the_manager(name):
    [code] = re.findall(r"```python\n(.*?)```", SECTIONS[call(HOOKS[name])], re.DOTALL)
    plugin = ModuleType(f"example_of_{name}")
    exec(compile(code, "docs/hooks.md", "exec"), vars(plugin))  # noqa: S102 - the page is our own
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    assert [found.plugin for found in getattr(manager.hook, name).get_hookimpls()] == [plugin]
    if name == "ils_payment_payment_settled":
        settled = SettledPayment(
            payment_id="P",
            library="town",
            cents=1250,
            currency="EUR",
            method="card",
            provider="stripe",
            settled_at=datetime(2026, 11, 21, tzinfo=UTC),
            live=True,
        )
        for _ in range(2):
            manager.hook.ils_payment_payment_settled(payment=settled)
        assert vars(plugin)["cents_by_method"] == {"card": 1250}
    elif name == "ils_payment_runners":
        [found] = manager.hook.ils_payment_runners()
        advances_what_is_due_until_stopped(found["patient"]("postgresql://user:secret@host/name"))
    else:
        [found] = getattr(manager.hook, name)()
        [made] = found.values()
        assert made(made.Config.model_construct(), None).config


def test_what_the_page_says_of_the_example_plugin_is_there():
    folder = Path(__file__).parents[2] / "examples" / "ils-payment-example"
    assert 'ils_payment]\nshelf = "ils_payment_shelf"' in (folder / "pyproject.toml").read_text(
        encoding="utf-8"
    )
    assert (folder / "ils_payment_shelf" / "__init__.py").exists()
