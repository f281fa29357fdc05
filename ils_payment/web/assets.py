"""What pages load besides themselves: style, script, the library's colours and logo. All from here."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from ils_payment.web import theme

router = APIRouter(prefix="/static", include_in_schema=False)

_TYPES = {
    "style.css": "text/css",
    "staff.css": "text/css",
    "pages.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
"""The address of these files changes with their content."""
_FOR_AN_HOUR = {"cache-control": "public, max-age=3600"}
# Who opens a logo by its address gets a picture, whatever an SVG file may contain.
_PICTURE_ONLY = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; sandbox"
}


@router.get("/theme/{library}.css")
def colours(request: Request, library: str) -> Response:
    """Serve the accent colour of a library as custom properties, light and dark."""
    desk = request.app.state.house.libraries.get(library)
    if desk is None or desk.settings.pages is None:
        raise HTTPException(404)
    return Response(theme.stylesheet(desk.settings.pages.accent), media_type="text/css", headers=_FOR_EVER)


@router.get("/logo/{library}")
def logo(request: Request, library: str) -> Response:
    """Serve the logo of a library from the file that the configuration names."""
    desk = request.app.state.house.libraries.get(library)
    if desk is None or desk.settings.pages is None or desk.settings.pages.logo is None:
        raise HTTPException(404)
    path = Path(desk.settings.pages.logo)
    media_type = _LOGO_TYPES.get(path.suffix.lower())
    if media_type is None or not path.is_file():
        raise HTTPException(404)
    return Response(path.read_bytes(), media_type=media_type, headers={**_FOR_AN_HOUR, **_PICTURE_ONLY})


@router.get("/{file}")
def asset(file: str) -> Response:
    """Serve the style sheet and the script."""
    if file not in _TYPES:
        raise HTTPException(404)
    return Response(_content(file), media_type=_TYPES[file], headers=_FOR_EVER)


@cache
def _content(file: str) -> bytes:
    return (files("ils_payment.web") / "static" / file).read_bytes()
