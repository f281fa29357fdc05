"""The staff pages as functions: what the flows said goes in, the finished page comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ils_payment.domain import decisions
from ils_payment.flows.case_words import of_kind
from ils_payment.web import render
from ils_payment.web.language import Tongue
from ils_payment.web.staff import story

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.inbox import File, LibrarySide
    from ils_payment.flows.views import CaseView, PaymentView
    from ils_payment.store.records import Refund


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A decision that was sent and not carried out: why, and what stood in the form.

    ``problem`` is a key of ``story.PROBLEMS``.
    """

    problem: str
    choice: str = ""
    reason: str = ""
    reference: str = ""
    meaning: str = ""
    lines: tuple[str, ...] = field(default=())


def page(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401 - what a template shows
    """Render a staff page; it knows the words for codes and the tongue of each library."""
    libraries = request.app.state.house.libraries

    def tongue_of(library: str) -> Tongue:
        desk: Desk | None = libraries.get(library)
        here = render.tongue(request)
        return Tongue(here.code, desk.settings.zone) if desk else here

    def library_name(library: str) -> str:
        desk: Desk | None = libraries.get(library)
        return desk.settings.name if desk else library

    return render.page(
        request,
        f"staff/{name}",
        status,
        story=story,
        tongue_of=tongue_of,
        library_name=library_name,
        several=len(libraries) > 1,
        **context,
    )


def case_words(kind: str, tongue: Tongue) -> tuple[str, str]:
    """Return what a case is about and what to do, in the words that the mails have too."""
    return of_kind(kind, tongue.code)


def cases(request: Request, found: Sequence[CaseView], **context: Any) -> HTMLResponse:  # noqa: ANN401 - see page
    """Show a list of cases with its filters."""
    return page(request, "cases.html", cases=found, case_words=case_words, **context)


def case(
    request: Request,
    found: CaseView,
    file: File | None,
    side: LibrarySide | None,
    *,
    names: Mapping[str, str],
    reasons: Sequence[Any] = (),
    form: Form | None = None,
    note: str = "",
) -> HTMLResponse:
    """Show one case: who, how much, what each side says, what can be done."""
    status = 200 if form is None else 409 if form.problem in {"conflict", "busy", "not_possible"} else 422
    return page(
        request,
        "case.html",
        status,
        case=found,
        words=case_words(found.kind, render.tongue(request)),
        file=file,
        about=_about(file, found),
        side=side,
        names=names,
        reasons=reasons,
        form=form,
        note=note if note in story.NOTES else "",
        case_words=case_words,
    )


def _about(file: File | None, found: CaseView | None) -> set[str | None]:
    """Return the lines that are ticked at first: those that the case is about; else the fees."""
    lines = {one.line_id for one in file.left} if file else set()
    named = (found.kind, found.subject, found.facts) if found else ("", "", {})
    return decisions.about(*named, lines) or lines


def payment(
    request: Request,
    file: File,
    side: LibrarySide | None,
    *,
    names: Mapping[str, str],
    form: Form | None = None,
    note: str = "",
) -> HTMLResponse:
    """Show one payment with its time line; *side* None: without anything that belongs to a person."""
    status = 200 if form is None else 409 if form.problem in {"conflict", "busy", "not_possible"} else 422
    return page(
        request,
        "payment.html",
        status,
        file=file,
        about=_about(file, None),
        side=side,
        names=names,
        form=form,
        note=note if note in story.NOTES else "",
        case_words=case_words,
    )


def refunds(
    request: Request,
    waiting: Sequence[tuple[Refund, PaymentView, str | None]],
    *,
    names: Mapping[str, str],
    problem: str = "",
    problem_at: str = "",
    note: str = "",
) -> HTMLResponse:
    """Show the refunds that wait for a second person."""
    return page(
        request,
        "refunds.html",
        200 if not problem else 409 if problem == "conflict" else 422,
        waiting=waiting,
        names=names,
        problem=problem,
        problem_at=problem_at,
        note=note if note in story.NOTES else "",
    )
