"""A stranger follows the documents from an empty folder to a green kit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WALKS = {"writing-a-library-system.md": ("drawer", 90), "writing-a-provider.md": ("piggy", 80)}


def run(*command, cwd, **environment):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("document", WALKS)
def test_a_stranger_walks_from_an_empty_folder_to_a_green_kit(document, tmp_path):
    name, at_least = WALKS[document]
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    files = dict(_FILE.findall(text))
    assert {f"ils_payment_{name}/stand.py", "pyproject.toml", "tests/test_contract.py"} <= set(files)
    project, site = tmp_path / f"ils-payment-{name}", tmp_path / "site"
    for path, content in files.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(content, encoding="utf-8")
    listed = re.search(r"```text\n(ils-payment-.*?)```", text, re.DOTALL)
    assert listed is not None
    assert sorted(Path(path).name for path in files) == sorted(re.findall(r"[\w]+\.(?:py|toml)", listed[1]))

    run("hatchling", "build", "-t", "wheel", "-d", tmp_path / "wheels", cwd=project)
    [wheel] = (tmp_path / "wheels").glob("*.whl")
    run("pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    # From the installed wheel, not from the folder.
    said = run("pytest", "-q", "--contracts-json", cwd=project, PYTHONPATH=str(site), PYTHONSAFEPATH="1")
    passed = json.loads(said.splitlines()[-1])["passed"]
    assert list(passed) == [name]
    told = re.search(r'\{"passed": .*\}', text)
    assert told is not None
    assert passed[name] >= json.loads(told[0])["passed"][name] >= at_least, (
        "the document tells another number"
    )
    assert f"{name} declares absent: " in said
    plugins = "from ils_payment.cli.main import main; main()"
    listing = subprocess.run(
        [sys.executable, "-c", plugins, "plugins", "--json"],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"ils-payment-{name}" in {one["distribution"] for one in json.loads(listing.stdout)}
