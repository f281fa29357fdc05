"""The life of a staff account: made on the command line, proven by its owner, used, reset, ended.

Everything that happens to an account is written to the journal by its random id; the name that
somebody typed is not, for people type passwords into the wrong field.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING

from ils_payment.domain.roles import Role
from ils_payment.errors import ILSPaymentError
from ils_payment.flows import factors
from ils_payment.store import journal, staff

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from ils_payment.flows.house import House
    from ils_payment.store.staff import Account
    from ils_payment.store.unit import Unit

LINK_LIFE = timedelta(hours=24)
NOBODY = "unknown"
"""The actor of a sign-in that failed under a name that no account has."""

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


class StaffAccountError(ILSPaymentError):
    """An account cannot be made or changed so."""


class PasswordError(ValueError):
    """A new password is not good enough; its text is one of ``short``, ``long`` and ``name``."""


# --- on the command line -----------------------------------------------------------------------


def add(house: House, login: str, role: Role, libraries: Collection[str], actor: str) -> str:
    """Make an account (no *libraries*: for all of them); return the address of its one-time link."""
    name = tidy(login)
    if not _LOGIN.fullmatch(name):
        raise StaffAccountError(
            f"{login!r} cannot be a name to sign in with.",
            mend="Use 1 to 64 letters, digits, dots, hyphens, underscores and @.",
        )
    if unknown := sorted(set(libraries) - set(house.settings.libraries)):
        known = ", ".join(house.settings.libraries)
        raise StaffAccountError(f"There is no library {unknown[0]!r}.", mend=f"Name one of these: {known}.")
    with house.store.unit() as unit:
        staff.line_up(unit)
        if staff.by_login(unit, name) is not None:
            raise StaffAccountError(
                f"There is an account {name!r} already.", mend=f"Type: ils-payment staff reset {name}"
            )
        made = staff.add(unit, name=name, login=name, role=role, libraries=libraries or None)
        facts = {"staff": made, "role": str(role), "libraries": sorted(libraries)}
        journal.append(unit, actor, "staff_added", facts)
        return _link(house, unit, made)


def reset(house: House, login: str, actor: str) -> str:
    """Take password, authenticator and sessions away, let a disabled account live; return a new link.

    Empty for an account of an identity provider, which needs none.
    """
    with house.store.unit() as unit:
        account = _named(unit, login)
        staff.forget_factors(unit, account.id)
        staff.enable(unit, account.id)
        journal.append(unit, actor, "staff_reset", {"staff": account.id})
        return _link(house, unit, account.id) if account.local else ""


def disable(house: House, login: str, actor: str) -> None:
    """End an account and its sessions, now."""
    with house.store.unit() as unit:
        account = _named(unit, login)
        staff.disable(unit, account.id)
        journal.append(unit, actor, "staff_disabled", {"staff": account.id})


def listed(house: House) -> list[Account]:
    """Return all accounts by name."""
    with house.store.read() as unit:
        return staff.listed(unit)


def _named(unit: Unit, name: str) -> Account:
    """Return the account with this name or id: identity providers may call two people the same."""
    account = staff.by_login(unit, tidy(name)) or staff.load(unit, name)
    if account is None:
        raise StaffAccountError(f"There is no account {name!r}.", mend="Type: ils-payment staff list")
    return account


def _link(house: House, unit: Unit, staff_id: str) -> str:
    token = unit.world.random_text(40)
    staff.add_link(unit, staff_id, factors.digest("link", token), unit.now + LINK_LIFE)
    return f"{house.settings.server.public_url}/staff/enrol?link={token}"


def tidy(login: str) -> str:
    """Return a name as it is stored: however it was typed, it is one account."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


# --- the owner comes for the first time --------------------------------------------------------


def of_link(house: House, token: str) -> Account | None:
    """Return whose one-time link this is, None when it is unknown, used or too old."""
    with house.store.read() as unit:
        return staff.of_link(unit, factors.digest("link", token))


def check_password(account: Account, password: str) -> None:
    """Raise PasswordError for a password that is too short, too long, or holds the account's name."""
    if len(password) < factors.SHORTEST_PASSWORD:
        raise PasswordError("short")
    if len(password) > factors.LONGEST_PASSWORD:
        raise PasswordError("long")
    if tidy(account.login or account.name) in password.casefold():
        raise PasswordError("name")


def enrol(house: House, token: str, password: str, typed: str) -> tuple[str, ...] | None:
    """Use the link up: set password and authenticator; return the recovery codes, shown once.

    None when the typed code does not belong to the authenticator. Raises PasswordError, and
    StaffAccountError for a link that is not good any more.
    """
    shared = factors.enrolment_secret(house.installation.secret, token)
    account = of_link(house, token)
    if account is None:
        raise StaffAccountError("This link is not good any more.", mend="Ask for a new one.")
    check_password(account, password)
    step = factors.step_of(shared, typed, house.world.now())
    if step is None:
        return None
    hashed = factors.hashed(house.world, password)
    codes = factors.recovery_codes(house.world)
    with house.store.unit() as unit:
        if not staff.use_link(unit, factors.digest("link", token)):
            raise StaffAccountError("This link was used just now.", mend="Ask for a new one.")
        digests = [factors.digest("code", code) for code in codes]
        staff.set_factors(unit, account.id, hashed, shared, digests)
        staff.use_step(unit, account.id, step)
        journal.append(unit, account.id, "staff_enrolled", {})
    return codes


# --- signing in --------------------------------------------------------------------------------


def proven(house: House, login: str, password: str, typed: str) -> Account | None:
    """Return the account if name, password and code fit together; the code is used up then.

    Whatever is wrong, the password is hashed once and a code is compared, so that the time tells
    nothing about which of them it was.
    """
    with house.store.read() as unit:
        account = staff.by_login(unit, tidy(login))
    usable = account is not None and account.disabled_at is None and account.totp is not None
    known = account if usable else None
    fits = factors.password_fits(known.password if known else None, password)
    step = factors.step_of(known.totp if known and known.totp else bytes(20), typed, house.world.now())
    with house.store.unit() as unit:
        used = fits and known is not None and _use_up(unit, known, step, typed)
        if known is None or not used:
            actor = account.id if account else NOBODY
            journal.append(unit, actor, "staff_sign_in_failed", {"way": "password"})
            return None
    return known


def confirmed(house: House, account: Account, typed: str) -> bool:
    """Tell whether somebody who is signed in has the authenticator (or a recovery code) at hand now."""
    if account.totp is None:
        return False
    step = factors.step_of(account.totp, typed, house.world.now())
    with house.store.unit() as unit:
        good = _use_up(unit, account, step, typed)
        if not good:
            journal.append(unit, account.id, "staff_confirm_failed", {})
        return good


def _use_up(unit: Unit, account: Account, step: int | None, typed: str) -> bool:
    if not staff.still_proves(unit, account):
        return False
    if step is not None:
        return staff.use_step(unit, account.id, step)
    code = factors.tidy_code(typed)
    if not code or not staff.use_code(unit, account.id, factors.digest("code", code)):
        return False
    left = staff.codes_left(unit, account.id)
    journal.append(unit, account.id, "staff_recovery_code_used", {"left": left})
    return True


# --- people of an identity provider ------------------------------------------------------------


def welcomed(
    house: House, subject: str, *, name: str, role: Role, libraries: tuple[str, ...] | None
) -> Account | None:
    """Return the account of a person whom the identity provider vouches for; None for a disabled one.

    Name, role and libraries are taken over at each sign-in: the identity provider knows best.
    """
    with house.store.unit() as unit:
        staff.line_up(unit)
        account = staff.by_subject(unit, subject)
        if account is not None and account.disabled_at is not None:
            journal.append(unit, account.id, "staff_sign_in_failed", {"way": "oidc"})
            return None
        facts: Mapping[str, Any] = {"role": str(role), "libraries": sorted(libraries or ())}
        if account is None:
            made = staff.add(unit, name=name, role=role, libraries=libraries, subject=subject)
            journal.append(unit, made, "staff_added", {"staff": made, **facts})
        else:
            made = account.id
            staff.change(unit, made, name=name, role=role, libraries=libraries)
            if (account.role, account.libraries) != (role, libraries):
                journal.append(unit, made, "staff_changed", dict(facts))
        return staff.load(unit, made)
