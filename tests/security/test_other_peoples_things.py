"""Two patrons, and every route: nobody reads or changes what belongs to the other one (IDOR)."""

from __future__ import annotations

import pytest

from tests.security.routes import every_route, filled
from tests.web.doors import csrf_of

OPEN = {
    ("GET", "/"),
    ("GET", "/{library}/"),
    ("GET", "/{library}/arrive"),
    ("POST", "/{library}/arrive"),
    ("POST", "/{library}/login"),
    ("POST", "/{library}/logout"),
    ("GET", "/{library}/goodbye"),
    ("GET", "/{library}/ended"),
    ("GET", "/{library}/idle"),
    ("GET", "/{library}/stay"),
    ("GET", "/{library}/payments/{payment_id}/return"),
    ("GET", "/{library}/fees-explained"),
    ("GET", "/{library}/renew/{token}"),
    ("POST", "/{library}/renew/{token}"),
    ("POST", "/api/v1/{library}/sessions"),
}
"""What a stranger may ask; each answers without anything of a patron."""
FOR_ALL = ("/static/", "/api/v1/docs", "/api/v1/openapi.json")


def personal(doors):
    """The routes that show or change something of a patron; staff has doors of its own."""
    for method, path in every_route(doors.house):
        if (method, path) not in OPEN and not path.startswith((*FOR_ALL, "/staff")):
            yield method, path


def paid_and_open(doors):
    """A settled payment with a receipt, and an open one, both of Erika."""
    town = doors.town
    settled = town.started(only=1)
    town.stripe.pay(town.session_of(settled))
    town.deliver_webhooks()
    town.run()
    return settled, town.started()


def bearer(doors, patron):
    answer = doors.browser().post("/api/v1/lindental/sessions", json={"token": doors.token(patron)})
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def test_whoever_is_nobody_gets_nothing_on_every_route(doors):
    settled, _ = paid_and_open(doors)
    before = doors.rows("payments")
    seen = 0
    for method, path in personal(doors):
        answer = doors.browser().request(method, filled(path, payment_id=settled))
        refused = answer.status_code == 401 if path.startswith("/api/") else answer.status_code in {303, 403}
        assert refused, (method, path, answer.status_code)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/lindental/")
        seen += 1
    assert doors.rows("payments") == before
    assert seen >= 13


@pytest.mark.parametrize("which", ["settled", "open"])
def test_a_foreign_payment_cannot_be_told_from_none_on_every_route_with_an_id(doors, which):
    payment = dict(zip(("settled", "open"), paid_and_open(doors), strict=True))[which]
    jan = doors.arrived("jan")
    form = csrf_of(jan.get("/lindental/payments").text)
    key = bearer(doors, "jan")
    before = [doors.rows(table) for table in ("payments", "private_mails")]
    routes = [one for one in every_route(doors.house) if "{payment_id}" in one[1]]
    assert len(routes) >= 7
    for method, path in routes:
        if path.startswith("/staff"):
            continue
        data = {"csrf": form, "email": "jan@lindental.example"} if method == "POST" else None
        foreign, absent = (
            jan.request(method, filled(path, payment_id=one), data=data, headers=key)
            for one in (payment, "0" * 26)
        )
        assert foreign.status_code == absent.status_code, path
        assert foreign.status_code in {403, 404}, path
        assert foreign.text.replace(payment, "") == absent.text.replace("0" * 26, ""), path
    assert [doors.rows(table) for table in ("payments", "private_mails")] == before


def test_a_list_shows_the_patrons_own_only(doors):
    payments = paid_and_open(doors)
    for patron, mine in (("erika", True), ("jan", False)):
        page = doors.arrived(patron).get("/lindental/payments").text
        listed = doors.browser().get("/api/v1/lindental/payments", headers=bearer(doors, patron)).text
        for payment in payments:
            assert (payment in page) is mine
            assert (payment in listed) is mine


def test_a_fee_of_somebody_else_cannot_be_paid(doors):
    """The keys of fees come from a form; they count only if the library system lists them for this patron."""
    key = bearer(doors, "erika")
    fees = doors.browser().get("/api/v1/lindental/fees", headers=key).json()["fees"]
    line = next(fee for fee in fees if fee["payable"])
    body = {"fees": [line["key"]], "cents": line["cents"], "currency": "EUR", "method": "card"}
    answer = doors.browser().post("/api/v1/lindental/payments", json=body, headers=bearer(doors, "jan"))
    assert (answer.status_code, answer.json()["code"]) == (409, "changed")
    jan = doors.arrived("jan")
    form = csrf_of(jan.get("/lindental/payments").text)
    data = {"csrf": form, "fee": line["key"], "expected": str(line["cents"]), "method": "card"}
    assert jan.post("/lindental/pay", data=data).status_code == 409
    assert doors.rows("payments") == []


def test_asking_never_changes_anything_but_what_is_looked_at_again(doors):
    """GET is safe: no payment begins, ends or moves, and no mail is asked for, whatever is opened."""
    settled, running = paid_and_open(doors)
    erika = doors.arrived()

    def books():
        payments = [
            {k: v for k, v in row._mapping.items() if k != "due_at"} for row in doors.rows("payments")
        ]
        return payments, doors.rows("postings"), doors.rows("private_mails")

    before = books()
    for method, path in every_route(doors.house):
        if method == "GET":
            for payment in (settled, running):
                erika.get(
                    filled(path, payment_id=payment), params={"fee": "1", "method": "card", "expected": "1"}
                )
    assert books() == before


def test_the_api_takes_no_cookie_and_the_pages_no_bearer(doors):
    erika = doors.arrived()
    assert erika.get("/api/v1/lindental/fees").status_code == 401
    plain = doors.browser().get("/lindental/fees", headers=bearer(doors, "erika"))
    assert plain.status_code == 303
