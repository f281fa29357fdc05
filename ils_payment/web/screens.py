"""The patron's pages as functions: what the flows said goes in, the finished page comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.money import minor_digits
from ils_payment.web import messages, render, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    from ils_payment.flows.house import Desk
    from ils_payment.flows.views import FeeLine, FeesView, PaymentView


def fees(
    request: Request,
    view: FeesView,
    *,
    chosen: Iterable[str] | None = None,
    method: str | None = None,
    problem: str | None = None,
    cancelled: bool = False,
) -> HTMLResponse:
    """Show the open fees; with *problem* (a key of ``messages.MESSAGES``) also why they cannot be paid so.

    *cancelled*: a payment has just been cancelled.
    """
    words = messages.MESSAGES[problem].said(render.tongue(request)) if problem else None
    return render.page(
        request,
        "fees.html",
        422 if problem else 200,
        view=view,
        chosen=set(_all_that_fit(view) if chosen is None else chosen),
        method=method or (view.methods[0].method if view.methods else None),
        problem=words,
        cancelled=cancelled,
        problem_at="methods"
        if problem in {"unknown_method", "below_minimum"} and len(view.methods) > 1
        else "fees",
        digits=minor_digits(view.currency),
    )


def confirm(request: Request, view: FeesView, lines: Sequence[FeeLine], method: str) -> HTMLResponse:
    """Show what is about to be paid, exactly, with the one button that starts it."""
    desk: Desk = request.state.desk
    return render.page(
        request,
        "confirm.html",
        view=view,
        lines=lines,
        cents=sum(line.cents for line in lines),
        method=method,
        provider=_provider_name(desk, method),
    )


def status(request: Request, payment: PaymentView, *, full: bool) -> HTMLResponse:
    """Show where a payment stands; not *full* (no login): state, amount and number only."""
    spoken = render.tongue(request)
    now = render.now(request)
    key = texts.of_payment(payment, now)
    path = request.url.path
    token = f"&t={request.query_params['t']}" if "t" in request.query_params else ""
    return render.page(
        request,
        "status.html",
        payment=payment,
        key=key,
        words=texts.told(payment, spoken, now, staff_told=_staff_told(request)),
        full=full,
        follow=texts.moves(payment),
        follow_url=f"{path}?follow=1{token}",
        still_url=f"{path}?still=1{token}",
        still="still" in request.query_params,
        every_without_script=30 if key in {"pending", "longer"} else 5,
        receipts=_receipts(request),
    )


def history(request: Request, payments: Sequence[PaymentView]) -> HTMLResponse:
    """Show what the patron has paid here, the newest first."""
    return render.page(request, "history.html", payments=payments)


def receipt(
    request: Request, payment: PaymentView, *, mail: bool, email: str = "", wrong_email: bool = False
) -> HTMLResponse:
    """Show the receipt for printing; *mail*: a mail server is there, so it can be sent too."""
    desk: Desk = request.state.desk
    return render.page(
        request,
        "receipt.html",
        422 if wrong_email else 200,
        payment=payment,
        receipt=desk.settings.receipt,
        mail_offered=mail,
        email=email,
        wrong_email=wrong_email,
    )


def _all_that_fit(view: FeesView) -> list[str]:
    """Choose all payable fees, or as many from the top as the limit allows."""
    chosen, left = [], view.limit_cents
    for line in view.lines:
        if line.payable and line.cents <= left:
            chosen.append(line.key)
            left -= line.cents
    return chosen


def _provider_name(desk: Desk, method: str) -> str:
    """Return the name of the company that serves *method*, as the payer will see it."""
    table = desk.settings.providers[desk.provider_of(method)]
    return table.plugin.capitalize()


def _staff_told(request: Request) -> bool:
    """Tell whether the staff get a mail about a payment that needs a person."""
    desk: Desk = request.state.desk
    return desk.settings.staff_email is not None and bool(request.app.state.house.world.can_mail)


def _receipts(request: Request) -> bool:
    desk: Desk = request.state.desk
    return desk.settings.receipt is not None
