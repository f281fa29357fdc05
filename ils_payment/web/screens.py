"""The patron's pages as functions: what the flows said goes in, the finished page comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.money import minor_digits
from ils_payment.web import messages, outcomes, render, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    from ils_payment.domain.tariff import Quote
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.views import CardView, ELendingView, FeeLine, FeesView, PaymentView
    from ils_payment.model import ContactData


def fees(
    request: Request,
    view: FeesView,
    its_card: CardView | None = None,
    *,
    chosen: Iterable[str] | None = None,
    method: str | None = None,
    until: date | None = None,
    problem: str | None = None,
    cancelled: bool = False,
) -> HTMLResponse:
    """Show the open fees; with *problem* (a key of ``messages.MESSAGES``) also why they cannot be paid so.

    *until*: the renewal of the card is chosen; nobody's money is asked for by a tick that was there before.
    *cancelled*: a payment has just been cancelled.
    """
    words = messages.MESSAGES[problem].said(render.tongue(request)) if problem else None
    return render.page(
        request,
        "fees.html",
        422 if problem else 200,
        view=view,
        card=its_card,
        until=until,
        chosen=set(_all_that_fit(view) if chosen is None else chosen),
        method=method or (view.methods[0].method if view.methods else None),
        problem=words,
        cancelled=cancelled,
        problem_at="methods"
        if problem in {"unknown_method", "below_minimum"} and len(view.methods) > 1
        else "fees",
        digits=minor_digits(view.currency),
    )


def card(
    request: Request,
    its_card: CardView,
    beside: FeesView | None,
    *,
    method: str = "",
    problem: str | None = None,
) -> HTMLResponse:
    """Show the library card and what renewing it costs; *beside*: the open fees, where it can be renewed."""
    words = messages.MESSAGES[problem].said(render.tongue(request)) if problem else None
    return render.page(
        request,
        "card.html",
        422 if problem else 200,
        card=its_card,
        fees=beside,
        method=method or (beside.methods[0].method if beside and beside.methods else None),
        problem=words,
        blocked=[block for block in its_card.blocks if block.kind not in {"expired", "fees"}],
    )


def confirm(
    request: Request,
    view: FeesView,
    lines: Sequence[FeeLine],
    method: str,
    *,
    quote: Quote | None = None,
    contact: ContactData | None = None,
) -> HTMLResponse:
    """Show what is about to be paid, exactly, with the one button that starts it.

    *quote*: the renewal that was chosen. *contact*: what the patron is to look through before it.
    """
    desk: Desk = request.state.desk
    cents = sum(line.cents for line in lines) + (quote.cents if quote else 0)
    return render.page(
        request,
        "confirm.html",
        view=view,
        lines=lines,
        quote=quote,
        contact=contact,
        cents=cents,
        method=method if cents else "",
        provider=_provider_name(desk, method) if cents else "",
    )


def status(
    request: Request,
    payment: PaymentView,
    *,
    full: bool,
    platforms: Sequence[ELendingView] = (),
    askable: Sequence[ELendingView] = (),
    problem: str | None = None,
) -> HTMLResponse:
    """Show where a payment stands; not *full* (no login): state, amount, number, and the new expiry.

    *platforms*: what eLending says. *askable*: those of them that can be asked with the patron's PIN;
    *problem*: why that did not work (a key of ``texts.ASKING_FAILED``).
    """
    desk: Desk = request.state.desk
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
        outcomes=(
            *outcomes.of_payment(payment, spoken),
            *outcomes.of_platforms(platforms, spoken, desk.settings, payment),
        ),
        askable=askable,
        problem=spoken.gettext(texts.ASKING_FAILED[problem]) if problem else None,
        full=full,
        follow=texts.moves(payment) or any(one.looking for one in platforms),
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
    request: Request,
    payment: PaymentView,
    *,
    payer: str | None = None,
    mail: bool,
    email: str = "",
    wrong_email: bool = False,
) -> HTMLResponse:
    """Show the receipt for printing. *payer*: the masked card number, where it can be told.

    *mail*: a mail server is there, so it can be sent too.
    """
    desk: Desk = request.state.desk
    return render.page(
        request,
        "receipt.html",
        422 if wrong_email else 200,
        payment=payment,
        payer=payer,
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
