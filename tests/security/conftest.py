"""The doors of a town, as the tests of the pages have them."""

from __future__ import annotations

from tests.web.conftest import arrival_settings, doors, each_doors, lasting_doors

__all__ = ["arrival_settings", "doors", "each_doors", "lasting_doors"]
