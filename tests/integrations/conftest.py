"""Fixtures: the plugin packed and unpacked, a Koha that runs it, and the program that its patrons come to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.koha_opac import KohaOPAC, unpacked
from tests.web.doors import PUBLIC, SECRET, Doors, doors_now

SETTINGS = {"address": f"{PUBLIC}/lindental", "issuer": "opac", "kid": "opac-1", "secret": SECRET}


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Koha's plugins, with ours in it."""
    return unpacked(tmp_path_factory.mktemp("kpz"))


@pytest.fixture
def bare_koha(plugins: Path) -> KohaOPAC:
    """A Koha with the plugin just installed."""
    return KohaOPAC(plugins)


@pytest.fixture
def doors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    """The program now, since Perl has no other clock; its library has the OPAC's key."""
    with doors_now(tmp_path, monkeypatch, "opac-1") as opened:
        yield opened


@pytest.fixture
def koha(bare_koha: KohaOPAC, doors: Doors) -> KohaOPAC:
    """The same Koha that the program asks, as its OPAC sees it; the plugin is configured."""
    bare_koha.take_lines_of(doors.town)
    assert "plugins-home.pl" in bare_koha.configure(**SETTINGS).printed
    return bare_koha
