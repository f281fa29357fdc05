"""The staff's way into a town: accounts of each role, and browsers in which they are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from argon2 import PasswordHasher
from sqlalchemy import delete

from ils_payment.config import Staff
from ils_payment.domain.roles import Role
from ils_payment.flows import factors
from ils_payment.flows import staff_accounts as accounts
from ils_payment.store import journal, staff
from ils_payment.store.schema import metadata
from tests.authenticator import code_now
from tests.web.doors import Doors, csrf_of

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.conftest import Town

PASSWORD = "four unrelated words here"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes as the program does, only that nobody has to wait for it."""


@dataclass
class Colleague:
    """A member of the staff with an authenticator and what a drawer holds."""

    login: str
    shared: bytes
    codes: tuple[str, ...]
    id: str


class StaffDoors(Doors):
    """The application with the staff pages."""

    def __init__(self, town: Town, **table: Any) -> None:
        town.house.settings = town.settings.model_copy(update={"staff": Staff.model_validate(table)})
        super().__init__(town)
        libraries = {key: desk.settings for key, desk in self.house.libraries.items()}
        self.house.settings = self.house.settings.model_copy(update={"libraries": libraries})
        self.mark = 0

    def forget(self) -> None:
        """Let another test begin: no accounts, nothing counted, and the journal read from here on."""
        with self.house.store.unit() as unit:
            for table in ("sessions", "links", "codes"):
                unit.connection.execute(delete(metadata.tables[f"private_staff_{table}"]))
            for name in ("private_staff", "counters"):
                unit.connection.execute(delete(metadata.tables[name]))
            rows = journal.newest(unit, limit=1)
        self.mark = rows[0]["number"] if rows else 0

    def link_for(self, login: str, role: str = "clerk", *libraries: str) -> str:
        """Make an account as the command line does; return the token of its link."""
        address = accounts.add(self.house, login, Role(role), libraries, "cli:test")
        return token_of(address)

    def colleague(self, login: str = "ada", role: str = "clerk", *libraries: str) -> Colleague:
        """A ready account."""
        link = self.link_for(login, role, *libraries)
        shared = factors.enrolment_secret(self.house.installation.secret, link)
        codes = accounts.enrol(self.house, link, PASSWORD, code_now(shared, self.world.now()))
        assert codes is not None
        with self.house.store.read() as unit:
            account = staff.by_login(unit, login)
        assert account is not None
        # The code of this half minute is used up.
        self.world.pass_time(seconds=30)
        return Colleague(login, shared, codes, account.id)

    def code(self, colleague: Colleague) -> str:
        return code_now(colleague.shared, self.world.now())

    def staff_sign_in(self, browser: TestClient, colleague: Colleague, **changes: str) -> Any:
        """Open the form and send it."""
        page = browser.get("/staff/login")
        form = {"name": colleague.login, "password": PASSWORD, "code": self.code(colleague), **changes}
        return browser.post("/staff/login", data={"csrf": csrf_of(page.text), **form})

    def staff_browser(
        self, role: str = "clerk", *libraries: str, login: str | None = None
    ) -> tuple[TestClient, Colleague]:
        """A browser in which a colleague of *role* is signed in."""
        colleague = self.colleague(login or role, role, *libraries)
        browser = self.browser()
        answer = self.staff_sign_in(browser, colleague)
        assert (answer.status_code, answer.headers["location"]) == (303, "/staff/")
        return browser, colleague

    def send(self, browser: TestClient, page: str, action: str, **form: Any) -> Any:
        """Open *page* and send its form token with *form* to *action*."""
        return browser.post(action, data={"csrf": csrf_of(browser.get(page).text), **form})

    def journal(self, *whats: str) -> list[dict[str, Any]]:
        """The rows of the journal, the oldest first."""
        with self.house.store.read() as unit:
            rows = journal.newest(unit, limit=1000)
        new = [row for row in reversed(rows) if row["number"] > self.mark]
        return [row for row in new if not whats or row["what"] in whats]


def token_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["link"][0]
