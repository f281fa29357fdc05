"""docs/handing-over.md: its programs run, and what they make signs a patron in; its tables fit the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from ils_payment.config import Arrival
from ils_payment.web import handover
from tests.web.doors import PUBLIC, SECRET, Doors, doors_now, signed

PAGE = (Path(__file__).parents[2] / "docs" / "handing-over.md").read_text(encoding="utf-8")
DRIVERS = {
    "perl": ("perl", "use strict; use warnings;\n{}\nprint handover_url($ARGV[0]);\n"),
    "php": ("php", "<?php\n{}\necho handover_url($argv[1]);\n"),
    "python": (sys.executable, "{}\nimport sys\nprint(handover_url(int(sys.argv[1])), end='')\n"),
}
FOUND = {language: shutil.which(driver[0]) for language, driver in DRIVERS.items()}
HERE = [language for language, interpreter in FOUND.items() if interpreter]


def program(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def doors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    """A town at this very moment, whose library has the key of the page."""
    with doors_now(tmp_path, monkeypatch, "opac-2026") as opened:
        yield opened


def test_the_programs_are_tried_in_perl_and_python_at_least() -> None:
    assert {"perl", "python"} <= set(HERE), "both come with every Debian"


@pytest.mark.parametrize("language", sorted(set(DRIVERS) - set(HERE)))
def test_a_program_that_cannot_be_tried_here_is_named(language: str) -> None:
    assert program(language)
    pytest.skip(f"docs/handing-over.md: the {language} program was NOT run, there is no {language} here")


@pytest.mark.parametrize("language", HERE)
def test_a_program_of_the_page_signs_a_patron_in(doors: Doors, tmp_path: Path, language: str) -> None:
    key = tmp_path / "key"
    key.write_text(SECRET + "\n", encoding="utf-8")
    text = program(language).replace("/etc/koha/ils-payment-key", str(key))
    text = text.replace("https://pay.library.example/herrenberg", f"{PUBLIC}/lindental")
    file = tmp_path / "handover"
    file.write_text(DRIVERS[language][1].format(text), encoding="utf-8")
    ran = subprocess.run(
        [FOUND[language] or "", str(file), str(doors.town.erika)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    browser = doors.browser()
    address = urlsplit(ran.stdout)
    assert f"{address.scheme}://{address.netloc}" == PUBLIC
    answer = browser.get(f"{address.path}?{address.query}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/lindental/fees")
    assert "Der Sommer am Wehr" in browser.get("/lindental/fees").text
    assert browser.cookies
    assert doors.browser().get(f"{address.path}?{address.query}").status_code == 403, "used up"


@pytest.mark.parametrize("language", DRIVERS)
def test_a_program_is_about_ten_lines(language: str) -> None:
    assert len(program(language).splitlines()) <= 11


def test_the_configuration_of_the_page_is_a_configuration(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    key = tmp_path / "key"
    key.write_text("k" * 64, encoding="utf-8")
    key.chmod(0o600)
    table = tomllib.loads(block.replace("/etc/ils-payment/opac-key", str(key)))["libraries"]["herrenberg"][
        "arrival"
    ]
    assert Arrival.model_validate(table).keys[0].kid == "opac-2026"


def test_the_table_of_claims_is_what_the_code_asks_for(doors: Doors) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (required|optional) \|", PAGE, re.MULTILINE))
    header = {"alg": "HS256", "typ": "JWT", "kid": "opac-2026"}
    extra = {"lang": "en", "fees": ["101"], "purpose": "pay", "nbf": int(doors.world.now().timestamp())}
    desk = doors.house.libraries["lindental"]
    assert set(rows) == {*doors.claims(), *extra}
    for claim, need in rows.items():
        token = signed(doors.claims("erika", "lindental", **{**extra, claim: None}), header=header)
        if need == "optional":
            assert handover.verify(doors.house, desk, token, doors.world.now()).patron == doors.town.erika
        else:
            with pytest.raises(handover.TokenError, match=claim):
                handover.verify(doors.house, desk, token, doors.world.now())


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"at most {handover.LONGEST_LIFE} seconds" in PAGE
    assert f"1 to {handover.LONGEST_LIFE} seconds after iat" in PAGE
    assert f"at most {handover.MOST_FEES} ids" in PAGE
    assert {10: "ten"}[handover.LEEWAY] + " seconds" in PAGE
    assert handover.ALGORITHM in PAGE


@pytest.mark.parametrize(
    ("change", "header", "said"),
    [
        ({}, {"kid": "other"}, "its kid is missing or names no configured key"),
        ({"aud": f"{PUBLIC}/lindental/"}, {}, "InvalidAudienceError"),
        ({"iss": "x"}, {}, "InvalidIssuerError"),
        ({"sub": 51}, {}, "InvalidSubjectError"),
        ({"jti": None}, {}, "MissingRequiredClaimError"),
        ({"fees": "101"}, {}, "fees must be a list of at most 200 ids as text"),
        ({"exp": 2**33}, {}, "exp must be 1 to 120 seconds after iat"),
    ],
)
def test_what_the_page_says_of_the_log_is_in_the_log(
    doors: Doors, change: dict[str, object], header: dict[str, str], said: str
) -> None:
    assert f"`{said}`" in PAGE
    head = {"alg": "HS256", "typ": "JWT", "kid": "opac-2026", **header}
    with capture_logs() as logs:
        doors.browser().get(
            "/lindental/arrive",
            params={"token": signed(doors.claims("erika", "lindental", **change), header=head)},
        )
    assert said in logs[0]["reason"]
