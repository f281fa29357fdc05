"""Each cell of the table of roles and rights, written down a second time; and who works for which library."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from ils_payment.config import RoleName
from ils_payment.domain.roles import RIGHTS, Right, Role, belongs, may

# clerk, treasurer, auditor, technician
TABLE = {
    Right.PAYMENTS: "yyyy",
    Right.CASES: "yyyn",
    Right.PATRON: "yyyn",
    Right.DECIDE: "yynn",
    Right.ASK_REFUND: "yynn",
    Right.APPROVE_REFUND: "nynn",
    Right.BOOKS: "nyyn",
    Right.EXPORT: "nynn",
    Right.JOURNAL: "nnyn",
    Right.HEALTH: "nnyy",
}
ROLES = (Role.CLERK, Role.TREASURER, Role.AUDITOR, Role.TECHNICIAN)


@pytest.mark.parametrize(("right", "role"), list(product(Right, ROLES)), ids=str)
def test_a_role_has_a_right_or_not(right, role):
    assert may(role, right) is (TABLE[right][ROLES.index(role)] == "y")


def test_every_role_and_right_stands_in_both_tables():
    assert set(TABLE) == set(Right)
    assert set(RIGHTS) == set(Role) == set(ROLES)
    assert {str(role) for role in Role} == set(get_args(RoleName))


@pytest.mark.parametrize(
    ("libraries", "library", "seen"),
    [
        (None, "a", True),
        (None, None, True),
        (("a",), "a", True),
        (("a",), "b", False),
        (("a",), None, False),
        ((), "a", False),
    ],
)
def test_an_account_of_some_libraries_sees_only_them(libraries, library, seen):
    assert belongs(libraries, library) is seen
