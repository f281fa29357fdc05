"""What is answered when something is refused or fails: a page in plain words, or problem+json for the API."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from ils_payment.errors import PinNeededError, RemoteAbsentError, RemoteError, StoreBusyError
from ils_payment.web import cookies, render, sessions
from ils_payment.web.sessions import PAYMENT_ID, SignInNeededError

if TYPE_CHECKING:
    from fastapi import FastAPI

API_PATH = "/api/v1"
PROBLEM = "application/problem+json"

_WORDS = {
    401: "forbidden",
    403: "forbidden",
    404: "not_found",
    405: "not_found",
    429: "too_many",
    503: "failed",
    500: "failed",
}

UNKNOWN_PATRON = (
    "The hand-over's sub is unknown to the library system; it must be its internal patron id"
    " (Koha: borrowernumber), not the card number."
)

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Register a handler for everything that an endpoint may raise."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SignInNeededError, _sign_in)
    app.add_exception_handler(RemoteAbsentError, _unknown)
    app.add_exception_handler(PinNeededError, _pin)
    app.add_exception_handler(RemoteError, _remote)
    app.add_exception_handler(StoreBusyError, _busy)
    app.add_exception_handler(Exception, _failed)


def problem(
    status: int,
    code: str,
    detail: str = "",
    headers: dict[str, str] | None = None,
    **more: str | list[dict[str, str]],
) -> Response:
    """Return an error of the API (RFC 9457); *more* are further members of its body."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
    }
    if detail:
        body["detail"] = detail
    return JSONResponse({**body, **more}, status, headers, media_type=PROBLEM)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(API_PATH)


def _page(request: Request, code: str, status: int) -> Response:
    """Show what happened; what a page itself could not know yet is asked here."""
    if getattr(request.state, "desk", None) is None:
        library = request.url.path.strip("/").partition("/")[0]
        request.state.desk = request.app.state.house.libraries.get(library)
    return render.message(request, code, status)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover - registered for nothing else
        raise error
    status = error.status_code
    if _is_api(request):
        codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
        headers = dict(error.headers) if error.headers else None
        return problem(status, codes.get(status, "bad_request"), headers=headers)
    answer = _page(request, _WORDS.get(status, "bad_request"), status)
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):  # pragma: no cover - registered for nothing else
        raise error
    if not _is_api(request):
        return _page(request, "bad_request", 422)
    # The values stay out of it: one of them may be a token.
    wrong = [{"at": ".".join(map(str, one["loc"])), "what": one["msg"]} for one in error.errors()]
    return problem(422, "invalid", "The request does not follow the description.", errors=wrong)


async def _sign_in(request: Request, error: Exception) -> Response:
    if not isinstance(error, SignInNeededError):  # pragma: no cover - registered for nothing else
        raise error
    if _is_api(request):
        return problem(
            401, "session_ended", "There is no such session (any more).", {"www-authenticate": "Bearer"}
        )
    house = request.app.state.house
    session = cookies.session(error.library)
    held = cookies.held(house, request, session)
    wanted = request.path_params.get("payment_id", "")
    start = f"?to={wanted}" if PAYMENT_ID.fullmatch(wanted) else ""
    response = RedirectResponse(f"/{error.library}/{'ended' if held else start}", 303)
    if held:
        cookies.take_back(house, response, session)
    return response


async def _unknown(request: Request, error: Exception) -> Response:
    """End the visit of a patron whom the library system does not have: asking again cannot help."""
    house, visit = request.app.state.house, getattr(request.state, "visit", None)
    log.error(
        "patron_unknown",
        path=_route(request),
        library=visit.library if visit else None,
        reason=str(error),
        mend=UNKNOWN_PATRON,
    )
    if visit is not None:
        await run_in_threadpool(sessions.close, house, visit.session_id)
    if _is_api(request):
        return problem(404, "patron_unknown", UNKNOWN_PATRON)
    request.state.visit = None
    answer = _page(request, "patron_unknown", 404)
    if visit is not None:
        cookies.take_back(house, answer, cookies.session(visit.library))
    return answer


async def _pin(request: Request, error: Exception) -> Response:
    """Let the patron sign in again: the library system answers only with the PIN, and we keep none."""
    visit = getattr(request.state, "visit", None)
    if visit is None:
        return await _remote(request, error)
    house = request.app.state.house
    await run_in_threadpool(sessions.close, house, visit.session_id)
    return await _sign_in(request, SignInNeededError(visit.library))


async def _remote(request: Request, error: Exception) -> Response:
    log.warning("remote_unavailable", path=_route(request), reason=str(error))
    if _is_api(request):
        return problem(
            503, "library_unavailable", "The library system does not answer.", {"retry-after": "60"}
        )
    answer = _page(request, "unavailable", 503)
    answer.headers["retry-after"] = "60"
    return answer


async def _busy(request: Request, error: Exception) -> Response:
    log.error("database_busy", path=_route(request), reason=str(error))
    if _is_api(request):
        # It may have been busy only after the fees were frozen for a payment.
        said = "The database is busy. Ask for the list of payments before you start one again."
        return problem(503, "busy", said, {"retry-after": "10"})
    answer = _page(request, "failed", 503)
    answer.headers["retry-after"] = "10"
    return answer


async def _failed(request: Request, error: Exception) -> Response:
    """Answer for a mistake of ours: no traceback reaches a patron; the server logs it."""
    log.error("request_failed", path=_route(request), reason=type(error).__name__)
    if _is_api(request):
        return problem(500, "failed", "Something went wrong on our side.")
    return _page(request, "failed", 500)


def _route(request: Request) -> str:
    """Return the pattern of the address: the address itself may carry a token."""
    return getattr(request.scope.get("route"), "path", "")
