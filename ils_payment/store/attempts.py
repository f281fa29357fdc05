"""Attempts at the provider, and the notices that come from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from ils_payment.store.records import AttemptRow
from ils_payment.store.tables import attempts, notices, payments

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.model import Started
    from ils_payment.store.unit import Unit

# Each look at a payment needs these: building them anew takes longer than executing them.
_LATEST = (
    select(attempts)
    .where(attempts.c.payment_id == bindparam("payment"))
    .order_by(attempts.c.number.desc())
    .limit(1)
)
_NEW_NOTICES = (
    select(notices)
    .where(notices.c.handled.is_(None))
    .order_by(notices.c.received_at)
    .limit(bindparam("most"))
)
_TAKE_NOTICES = _NEW_NOTICES.with_for_update(skip_locked=True)
_LEARN_MONEY = (
    update(attempts)
    .where(
        attempts.c.payment_id == bindparam("payment"),
        attempts.c.session_ref.is_not(None),
        attempts.c.money_ref.is_(None),
    )
    .values(money_ref=bindparam("money"))
)


def add(unit: Unit, *, key: str, payment_id: str, provider: str, request: str) -> None:
    """Write the attempt of a payment before the provider is asked: its outcome is unclear from now on."""
    unit.connection.execute(
        insert(attempts).values(
            key=key,
            payment_id=payment_id,
            number=1,
            provider=provider,
            request=request,
            outcome="unclear",
            created_at=unit.now,
        )
    )


def started(unit: Unit, key: str, session: Started, url: str | None) -> None:
    """Record the provider session of an attempt, and the *url* at which its payer may go on."""
    unit.connection.execute(
        update(attempts)
        .where(attempts.c.key == key)
        .values(
            outcome="started",
            session_ref=session.session_ref,
            url=url,
            expires_at=session.expires_at,
        )
    )


def ended(unit: Unit, key: str, outcome: str) -> None:
    """Record that an attempt has no session (``refused``, ``absent``) or a closed one (``closed``)."""
    unit.connection.execute(update(attempts).where(attempts.c.key == key).values(outcome=outcome, url=None))


def latest(unit: Unit, payment_id: str) -> AttemptRow | None:
    """Return the newest attempt of a payment."""
    row = unit.connection.execute(_LATEST, {"payment": payment_id}).mappings().first()
    return AttemptRow(**{name: row[name] for name in AttemptRow.__dataclass_fields__}) if row else None


def new_notices(unit: Unit, limit: int, *, take: bool = False) -> list[Any]:
    """Return stored notices that nobody has looked at, the oldest first.

    With *take*, those that another process is handling are left out, and others leave out these until
    the commit: so several processes share the work instead of waiting for each other to do it twice.
    """
    return list(unit.connection.execute(_TAKE_NOTICES if take else _NEW_NOTICES, {"most": limit}))


def forget_notices(unit: Unit, before: datetime) -> None:
    """Delete notices that were handled and came before *before*: no provider repeats them any more."""
    unit.connection.execute(
        delete(notices).where(notices.c.received_at < before, notices.c.handled.is_not(None))
    )


def oldest_notice(unit: Unit) -> datetime | None:
    """Return when the oldest notice came in that is kept."""
    return unit.connection.execute(select(func.min(notices.c.received_at))).scalar()


def payment_of(unit: Unit, notice: Any) -> str | None:  # noqa: ANN401 - a row of notices
    """Return the payment that a notice is about, if it is one of ours at this provider account."""
    ours = select(payments.c.id).where(
        payments.c.library == notice.library, payments.c.provider == notice.provider
    )
    if notice.reference:
        found = unit.connection.execute(ours.where(payments.c.id == notice.reference)).scalar()
        if found is not None:
            return str(found)
    if not notice.session_ref:
        return None
    found = unit.connection.execute(
        ours.join(attempts, attempts.c.payment_id == payments.c.id).where(
            attempts.c.provider == notice.provider,
            or_(attempts.c.session_ref == notice.session_ref, attempts.c.money_ref == notice.session_ref),
        )
    ).scalar()
    if found is None:
        # Money that came on top has an id of its own, which only the notice of its coming has told.
        found = unit.connection.execute(
            ours.join(notices, notices.c.reference == payments.c.id)
            .where(
                notices.c.library == notice.library,
                notices.c.provider == notice.provider,
                notices.c.session_ref == notice.session_ref,
            )
            .limit(1)
        ).scalar()
    return found


def learned_money(unit: Unit, payment_id: str, money_ref: str) -> bool:
    """Keep the provider's id of the money itself: notices of refunds and chargebacks name only that.

    True when it was not known before.
    """
    learned = unit.connection.execute(_LEARN_MONEY, {"payment": payment_id, "money": money_ref})
    return bool(learned.rowcount)


def offer_again(unit: Unit, library: str, provider: str, money_ref: str) -> None:
    """Let notices be looked at once more that name *money_ref* and came before anybody knew whose it is."""
    unit.connection.execute(
        update(notices)
        .where(
            notices.c.library == library,
            notices.c.provider == provider,
            notices.c.session_ref == money_ref,
            notices.c.handled == "foreign",
        )
        .values(handled=None)
    )


def payment_of_money(unit: Unit, provider: str, money_ref: str) -> str | None:
    """Return the payment whose money the provider calls *money_ref*."""
    return unit.connection.execute(
        select(attempts.c.payment_id).where(
            attempts.c.provider == provider, attempts.c.money_ref == money_ref
        )
    ).scalar()


def handled(unit: Unit, notice: Any, how: str) -> None:  # noqa: ANN401 - a row of notices
    """Record what a notice led to."""
    unit.connection.execute(
        update(notices)
        .where(
            notices.c.library == notice.library,
            notices.c.provider == notice.provider,
            notices.c.key == notice.key,
        )
        .values(handled=how)
    )
