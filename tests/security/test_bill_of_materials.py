"""The bill of materials: complete, with digests and licences, and the same each time."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from scripts import sbom

LOCK = tomllib.loads((Path(__file__).resolve().parents[2] / "uv.lock").read_text(encoding="utf-8"))
PACKAGES = {package["name"]: package for package in LOCK["package"]}


@pytest.fixture(scope="module")
def bill():
    return sbom.made()


def needed():
    """What the program with all its extras needs, and what these need, by the lock."""
    waiting = [
        *PACKAGES["ils-payment"]["dependencies"],
        *(one for extra in PACKAGES["ils-payment"]["optional-dependencies"].values() for one in extra),
    ]
    found = set()
    while waiting:
        one = waiting.pop()
        package = PACKAGES[one["name"]]
        extras = [part for name in one.get("extra", ()) for part in package["optional-dependencies"][name]]
        asked = one["name"], tuple(one.get("extra", ()))
        if asked not in found:
            found.add(asked)
            waiting += [*package.get("dependencies", ()), *extras]
    return {name for name, _ in found}


def test_the_bill_names_every_locked_component_with_version_digest_and_licence(bill):
    components = {one["name"]: one for one in bill["components"]}
    assert set(components) == needed()
    for name, one in components.items():
        assert one["version"] == PACKAGES[name]["version"]
        assert one["purl"] == f"pkg:pypi/{name}@{one['version']}"
        digests = {made["content"] for place in one["externalReferences"] for made in place.get("hashes", ())}
        locked = {wheel["hash"].removeprefix("sha256:") for wheel in PACKAGES[name].get("wheels", ())}
        assert digests & locked, name
    assert len([one for one in components.values() if one["licenses"]]) > 0.9 * len(components)


def test_the_bill_is_a_cyclonedx_document_of_this_program(bill):
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["name"] == "ils-payment"
    known = {one["bom-ref"] for one in [*bill["components"], bill["metadata"]["component"]]}
    assert {one["ref"] for one in bill["dependencies"]} <= known


def test_the_same_lock_gives_the_same_bill(bill):
    assert sbom.made() == bill
