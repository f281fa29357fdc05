"""A stranger's plugin: installed from wheels into a fresh environment, offline, and paid through."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "ils-payment-example"


def run(*command, cwd=None):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The folder of an environment that has program and plugin as wheels, and borrows their dependencies."""
    folder = tmp_path_factory.mktemp("fresh")
    for project in (ROOT, EXAMPLE):
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "wheels", cwd=project)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    wheels = sorted((folder / "wheels").glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["ils_payment", "ils_payment_example"]
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        *wheels,
    )
    # Only now: what is borrowed must not count as installed while the wheels go in.
    [site] = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def told(fresh):
    story = Path(__file__).with_name("example_plugin_story.py")
    return json.loads(run(fresh / "venv" / "bin" / "python", "-I", story, fresh, cwd=fresh))


def test_program_and_plugin_are_the_installed_ones(told, fresh):
    assert told["program"].startswith(str(fresh / "venv"))
    assert told["plugin"].startswith(str(fresh / "venv"))
    assert "ils-payment" in told["requires"]


def test_a_patron_pays_through_the_plugin_and_the_fees_are_closed_once(told):
    assert told["plain"]["states"][-1] == "settled"
    assert told["plain"]["findings"] == ["ok"]
    assert told["plain"]["truth"]["open"] == {"f1": "0.00", "f2": "0.00"}
    [booked] = told["plain"]["truth"]["payments"]
    assert booked["amount"] == "7.50"
    assert booked["reference"].startswith("ILSP-")


def test_a_library_system_that_dies_after_booking_is_found_to_have_booked(told):
    assert told["crash"]["states"] == ["unknown", "settled"]
    assert told["crash"]["truth"]["open"] == {"f1": "0.00", "f2": "0.00"}
    assert len(told["crash"]["truth"]["payments"]) == 1


def test_the_command_line_lists_the_plugin_with_its_distribution(fresh):
    listed = json.loads(run(fresh / "venv" / "bin" / "ils-payment", "plugins", "--json", cwd=fresh))
    found = {one["name"]: one for one in listed}
    assert found["shelf"]["distribution"] == "ils-payment-example"
    assert found["shelf"]["record_sha256"]
    assert found["koha"]["distribution"] == "ils-payment"
    assert found["koha"]["record_sha256"] != found["shelf"]["record_sha256"]


def test_init_writes_a_configuration_for_the_plugin(fresh):
    path = fresh / "config.toml"
    run(fresh / "venv" / "bin" / "ils-payment", "init", path, "--library-system", "shelf", cwd=fresh)
    text = path.read_text(encoding="utf-8")
    assert 'plugin = "shelf"' in text
    assert 'token = { env = "SHELF_TOKEN" }' in text
