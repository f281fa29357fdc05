"""The API's documentation to try out: Swagger UI from files of this machine, nothing inline."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from ils_payment.web.refusals import API_PATH

HERE = f"{API_PATH}/docs"

_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ils-payment: API</title>
<link rel="icon" href="{HERE}/favicon-32x32.png">
<link rel="stylesheet" href="{HERE}/swagger-ui.css">
<script src="{HERE}/swagger-ui-bundle.js" defer></script>
<script src="{HERE}/start.js" defer></script>
</head>
<body><main id="api"></main></body>
</html>
"""
_START = f"""SwaggerUIBundle({{
  url: "{API_PATH}/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
}});
"""
# Swagger's own style sheet draws its arrows from data: addresses; nothing else is let in.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_FOR_A_DAY = {"cache-control": "public, max-age=86400"}

router = APIRouter(prefix=HERE, include_in_schema=False)


@router.get("")
def page() -> Response:
    """Show the API."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})


@router.get("/start.js")
def start() -> Response:
    """Start Swagger UI."""
    return Response(_START, media_type="text/javascript", headers=_FOR_A_DAY)


@router.get("/{name}")
def file(name: str) -> Response:
    """Serve a file of Swagger UI."""
    if name not in _FILES:
        raise HTTPException(404)
    return Response(_content(name), media_type=_FILES[name], headers=_FOR_A_DAY)


@cache
def _content(name: str) -> bytes:
    return (files("fastapi_swagger.resources") / name).read_bytes()
