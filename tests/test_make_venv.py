"""Making the environment says what takes so long, before it takes so long."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_venv.py"


@pytest.fixture
def script(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("make_venv", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module.sys, "argv", ["make_venv.py"])
    monkeypatch.setattr(module, "bootstrap", lambda: sys.stdout.write("bootstrap\n"))
    monkeypatch.setattr(module, "synchronise", lambda groups: sys.stdout.write(f"synchronise {groups}\n"))
    return module


def test_the_first_time_is_announced_before_anything_is_installed(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "answers", lambda *_: False)
    script.main()
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "Installing into .venv what uv.lock names (a few minutes the first time) ..."
    assert rest == ["bootstrap", "synchronise []"]


def test_an_environment_that_is_there_is_refreshed_silently(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "answers", lambda *_: True)
    script.main()
    assert capsys.readouterr().out == "synchronise []\n"
