"""Any accent colour makes a page that can be read, in light and in dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ils_payment.web
from ils_payment.web import theme

STATIC = Path(ils_payment.web.__file__).parent / "static"
STYLE = (STATIC / "style.css").read_text()
COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def named(block: str, name: str) -> theme.Colour:
    """A custom property of the style sheet, as it stands in one of its two ``:root`` blocks."""
    value = re.search(rf"--{name}:\s*#([0-9a-f]{{3,6}});", block)
    assert value, name
    digits = value.group(1)
    return theme.parse("#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits)))


LIGHT, DARK = STYLE.split("@media screen and (prefers-color-scheme: dark)")
DARK = DARK[: DARK.index("}\n}")]


@given(COLOURS)
def test_every_accent_can_be_read_wherever_it_stands(accent):
    light, dark = theme.tones(accent)
    for tones in (light, dark):
        assert theme.contrast(tones.fill, tones.on_fill) >= theme.READABLE
    for block, tones in ((LIGHT, light), (DARK, dark)):
        for ground in ("ground", "surface", "sunken"):
            assert theme.contrast(tones.text, named(block, ground)) >= theme.READABLE


def test_the_colours_of_the_style_sheet_can_be_read():
    for block in (LIGHT, DARK):
        for ground in ("ground", "surface", "sunken"):
            for text in ("ink", "soft-ink", "good", "look", "wrong", "accent-text"):
                assert theme.contrast(named(block, text), named(block, ground)) >= theme.READABLE, text
            assert theme.contrast(named(block, "edge"), named(block, ground)) >= 3
        assert theme.contrast(named(block, "accent"), named(block, "on-accent")) >= theme.READABLE


def test_a_readable_accent_is_left_as_it_is():
    light, _ = theme.tones("#0b5394")
    assert light.fill == light.text == theme.parse("#0b5394")
    assert light.on_fill == theme.WHITE


def test_a_pale_accent_gets_black_text_and_a_darker_link():
    light, dark = theme.tones("#ffd500")
    assert light.on_fill == theme.BLACK
    assert light.text != light.fill
    assert dark.text == dark.fill == theme.parse("#ffd500")


@pytest.mark.parametrize(
    ("one", "other", "ratio"), [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48)]
)
def test_contrast_is_that_of_wcag(one, other, ratio):
    assert theme.contrast(theme.parse(one), theme.parse(other)) == pytest.approx(ratio, abs=0.01)


def test_the_dark_tones_do_not_reach_paper():
    light, dark = theme.stylesheet("#0b5394").splitlines()
    assert light.startswith(":root{--accent:#0b5394;")
    assert dark.startswith("@media screen and (prefers-color-scheme:dark)")


def test_no_width_of_the_window_changes_a_colour():
    """So contrast that is enough at one width is enough at each; staff pages have a style sheet more."""
    for name in ("style.css", "staff.css"):
        style = (STATIC / name).read_text()
        blocks = re.findall(r"@media[^{]*\bwidth\b[^{]*\{(.*?\})\s*\}", style, re.DOTALL)
        assert len(blocks) == len(re.findall(r"@media[^{]*\bwidth\b", style))
        for block in blocks:
            assert not re.search(r"color|background|border|opacity|#[0-9a-f]{3}|var\(", block), block
    assert re.search(r"@media \(width >= 48rem\)", STYLE)
