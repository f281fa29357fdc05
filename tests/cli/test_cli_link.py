"""``ils-payment link``: a link and its QR code for a letter, and a sentence where none can be made."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import timedelta

import pytest

from ils_payment.cli import link
from ils_payment.flows import paylink
from tests.web.card_town import OLE, CardTown


@pytest.fixture
def town(tmp_path, monkeypatch):
    built = CardTown(f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.setattr(link, "whole_house", lambda _config: nullcontext(built.house))
    yield built
    built.close()


def asked(ils_payment, *more, card=OLE):
    return ils_payment("link", "--library", "lindental", "--card", card, *more)


def test_the_link_is_printed_alone_so_that_a_script_can_take_it(town, ils_payment):
    ran = asked(ils_payment, "--days", "5")
    assert ran.code == 0, ran.err
    [url] = ran.out.splitlines()
    assert url.startswith("https://pay.lindental.example/lindental/renew/")
    assert OLE not in url
    assert "Good until" in ran.err
    assert paylink.look(town.house, town.desk, url.rsplit("/", 1)[1]).state == "payable"


def test_json_says_what_it_pays_for(town, ils_payment):
    said = json.loads(asked(ils_payment, "--json").out)
    assert (said["cents"], said["renewed_until"]) == (1000, town.next_year.isoformat())
    assert (said["from_day"], said["qr"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "starts"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG"), ("A.PNG", b"\x89PNG")]
)
def test_the_qr_code_is_written_as_the_file_is_named(town, ils_payment, tmp_path, name, starts):
    file = tmp_path / name
    assert asked(ils_payment, "--qr", str(file)).code == 0
    assert file.read_bytes().startswith(starts)


def test_a_link_printed_twice_is_good_twice(town, ils_payment):
    urls = [asked(ils_payment).out.strip() for _ in range(2)]
    for url in urls:
        assert paylink.look(town.house, town.desk, url.rsplit("/", 1)[1]).state == "payable"


EARLY = "21234000012345"


def can_renew_in(town, days):
    """Let the early card end so that it can be renewed *days* from today."""
    town.renews_at_the_desk("erika", days=30 + days)
    return town.today + timedelta(days=days)


def test_a_card_that_is_early_gets_a_link_that_lives_long_enough_and_a_word(town, ils_payment):
    day = can_renew_in(town, 40)
    ran = asked(ils_payment, "--days", "41", card=EARLY)
    assert ran.code == 0, ran.err
    assert f"too early for this card: the link takes money from {day} on" in ran.err


@pytest.mark.parametrize(
    ("first", "days", "advice"), [(40, 39, "--days 41 or more"), (300, 180, "none is good for more than 180")]
)
def test_no_link_is_made_that_ends_before_it_can_be_used(town, ils_payment, first, days, advice):
    day = can_renew_in(town, first)
    ran = asked(ils_payment, "--days", str(days), card=EARLY)
    assert (ran.code, ran.out) == (1, "")
    assert f"can be renewed from {day} on" in ran.err
    assert "Make the link later" in ran.err
    assert advice in ran.err


@pytest.mark.parametrize(
    ("arguments", "card", "code", "sentence"),
    [
        ((), "99999", 1, "knows no such card"),
        ((), "21234000012390", 1, "No link can be made for this card. The patron reads: Come to the desk"),
        (("--qr", "letter.pdf"), OLE, 2, ".svg or .png"),
        (("--qr", "/nowhere/a.svg"), OLE, 1, "cannot be written"),
        (("--days", "181"), OLE, 2, "181"),
        (("--days", "0"), OLE, 2, "0"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_sentence(town, ils_payment, arguments, card, code, sentence):
    ran = asked(ils_payment, *arguments, card=card)
    assert ran.code == code
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    assert card not in ran.err.replace("--card", "")
    assert ran.out == ""


def test_what_to_do_about_an_unknown_card_names_no_option_that_the_command_lacks(town, ils_payment):
    ran = asked(ils_payment, card="99999")
    assert "What to do: Look at the number again." in ran.err
    assert "--patron" not in ran.err


def test_a_library_that_renews_no_cards_says_so_once(town, ils_payment):
    town.prices(None)
    ran = asked(ils_payment)
    assert ran.code == 1
    assert ran.err.count("cannot be renewed here") == 1
    assert "The patron reads: Your card cannot be renewed here." in ran.err


def test_an_unknown_library_is_named_with_those_that_exist(town, ils_payment):
    ran = ils_payment("link", "--library", "nowhere", "--card", OLE)
    assert ran.code != 0
    assert "lindental" in ran.err
