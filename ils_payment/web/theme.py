"""Turn one accent colour into a whole theme that can be read: WCAG 2.2 contrast, light and dark.

The Content-Security-Policy allows no inline style, so the colours are served as custom
properties from a style sheet of their own (:mod:`ils_payment.web.assets`).
"""

from __future__ import annotations

from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass
from functools import cache

Colour = tuple[int, int, int]

READABLE = 4.5
"""The contrast that WCAG 2.2 (1.4.3, AA) asks of text."""

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
# The darkest light and the lightest dark ground that coloured text stands on; ``style.css`` names the same.
LIGHT_GROUND: Colour = (237, 239, 242)
DARK_GROUND: Colour = (43, 49, 57)


@dataclass(frozen=True, slots=True)
class Tones:
    """The accent in one mode: as a filled area, the text on that area, and as text on our ground."""

    fill: Colour
    on_fill: Colour
    text: Colour


def parse(colour: str) -> Colour:
    """Return ``#rrggbb`` as three numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def contrast(one: Colour, other: Colour) -> float:
    """Return the WCAG contrast ratio of two colours, from 1 (the same) to 21 (black on white)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def tones(accent: str) -> tuple[Tones, Tones]:
    """Return the light and the dark tones of *accent* (``#rrggbb``); all of them can be read.

    A pale accent stays as it is where it is an area, with black text on it; as text it is
    darkened just as far as needed, and lightened in dark mode.
    """
    colour = parse(accent)
    dark = _until_readable(colour, WHITE, DARK_GROUND)
    return (
        Tones(colour, _text_on(colour), _until_readable(colour, BLACK, LIGHT_GROUND)),
        Tones(dark, _text_on(dark), dark),
    )


@cache
def stylesheet(accent: str) -> str:
    """Return the style sheet with the custom properties of *accent* for both modes."""
    light, dark = tones(accent)
    # Paper is white whatever the screen was, so the dark tones are for screens only.
    return (
        f":root{{{_properties(light)}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{_properties(dark)}}}}}\n"
    )


def _properties(mode: Tones) -> str:
    return f"--accent:{_css(mode.fill)};--on-accent:{_css(mode.on_fill)};--accent-text:{_css(mode.text)}"


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _text_on(fill: Colour) -> Colour:
    """Return white or black, whichever reads better: one of both always reaches 4.5."""
    return WHITE if contrast(fill, WHITE) >= contrast(fill, BLACK) else BLACK


def _until_readable(colour: Colour, towards: Colour, ground: Colour) -> Colour:
    """Make *colour* lighter or darker in small steps, keeping its hue, until it can be read on *ground*."""
    hue, lightness, saturation = rgb_to_hls(*(channel / 255 for channel in colour))
    end = 1.0 if towards == WHITE else 0.0
    for step in range(51):
        red, green, blue = hls_to_rgb(hue, lightness + (end - lightness) * step / 50, saturation)
        mixed = (round(red * 255), round(green * 255), round(blue * 255))
        if contrast(mixed, ground) >= READABLE:
            return mixed
    return towards
