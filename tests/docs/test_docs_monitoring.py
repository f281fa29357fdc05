"""Dashboard, alert rules and the list of metrics speak of metrics and labels that a real /metrics has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from ils_payment.flows.advance import advance
from ils_payment.flows.calls import OUTCOMES
from ils_payment.store import intake, journal
from ils_payment.store.case_tables import refunds
from ils_payment.store.tables import payments, private_mails
from ils_payment.web.metrics import QUEUES
from tests.web.doors import Doors

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
README = (FOLDER / "README.md").read_text(encoding="utf-8")
OF_PROMETHEUS = {"up": {"job", "instance"}}
ADDED_BY_PROMETHEUS = {"job", "instance", "le"}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [
    rule["expr"] for rule in ALERTS
]


@pytest.fixture
def metrics(town):
    """``{sample name: its label names}`` of a real /metrics after something of everything happened."""
    doors = Doors(town)
    some = town.started()
    with town.house.store.unit() as unit:
        intake.store(unit, [("lindental", "stripe", "evt_1", "x", None, None, None)])
        journal.append(unit, "system", "backup", {})
        now = unit.now
        unit.connection.execute(
            insert(private_mails).values(
                id="m",
                kind="receipt",
                recipient="a@b.example",
                language="de",
                created_at=now,
                due_at=now,
                tries=0,
            )
        )
        unit.connection.execute(
            insert(refunds).values(
                id="r",
                payment_id=some,
                number=1,
                kind="refund",
                state="asked",
                meaning="fee_stays",
                cents=1,
                parts="[]",
                key="k",
                tries=0,
                asked_by="x",
                asked_at=now,
                charge_state="none",
                charge_tries=0,
            )
        )
    hold(town, some)
    with town.house.store.unit() as unit:
        unit.connection.execute(update(payments).values(due_at=unit.now))
    browser = doors.browser("127.0.0.1")
    browser.post("/webhooks/lindental/stripe", content=b"{}")
    text = browser.get("/metrics").text
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def hold(town, payment):
    """Let the payment be paid, and its fee disappear meanwhile: a case."""
    town.stripe.pay(town.session_of(payment))
    town.koha.pay_at_desk(town.koha.patron_ids["erika"], 2, 450)
    town.deliver_webhooks()
    advance(town.house, payment)
    advance(town.house, payment)


def names_in(expression):
    return set(re.findall(r"\b(ils_payment_\w+|process_\w+|up)\b", expression))


def matchers(expression):
    """``[(metric, label names in its braces)]``."""
    found = re.findall(r"\b(ils_payment_\w+|process_\w+|up)\{([^}]*)\}", expression)
    return [(name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside))) for name, inside in found]


def grouped(expression):
    return {
        label.strip()
        for inside in re.findall(r"\bby \(([^)]*)\)", expression)
        for label in inside.split(",")
        if label.strip()
    }


def test_every_metric_of_dashboard_and_rules_is_real(metrics):
    known = {**metrics, **OF_PROMETHEUS}
    assert len(EXPRESSIONS) > 40
    for expression in EXPRESSIONS:
        names = names_in(expression)
        assert names, expression
        assert names <= set(known), expression


def test_every_label_of_dashboard_and_rules_is_real(metrics):
    known = {**metrics, **OF_PROMETHEUS}
    for expression in EXPRESSIONS:
        for name, labels in matchers(expression):
            assert labels <= known[name] | ADDED_BY_PROMETHEUS, expression
        all_labels = set().union(*(known[name] for name in names_in(expression)))
        assert grouped(expression) <= all_labels | ADDED_BY_PROMETHEUS, expression


def families(metrics):
    """Metrics as the list names them: a histogram once, without the instants at which counters began."""
    found: dict[str, set[str]] = {}
    for name, labels in metrics.items():
        if name.startswith("ils_") and not name.endswith("_created"):
            found.setdefault(re.sub(r"_(bucket|sum|count)$", "", name), labels - {"le"})
    return found


def test_the_list_has_every_metric_with_its_labels_and_invents_none(metrics):
    listed = {
        name: {label.strip() for label in labels.split(",") if label.strip()}
        for name, labels in re.findall(r"^\| `(ils_payment_\w+)` \|([\w, ]*)\|", README, re.MULTILINE)
    }
    assert listed == families(metrics)


def test_every_outcome_of_a_call_is_explained():
    assert set(re.findall(r"^\| `(\w+)` \| ", README, re.MULTILINE)) >= set(OUTCOMES)


def test_the_rules_have_the_shape_that_prometheus_wants():
    assert set(RULES) == {"groups"}
    for group in RULES["groups"]:
        assert set(group) <= {"name", "interval", "rules"}
    names = [rule["alert"] for rule in ALERTS]
    assert len(names) == len(set(names))
    for rule in ALERTS:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "what_to_do"}
        told = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert told <= grouped(rule["expr"]) | {"instance"}, rule["alert"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_brackets_and_quotes_are_closed(expression):
    bare = re.sub(r'"[^"]*"', "", expression)
    assert '"' not in bare
    stack = []
    for character in bare:
        if character in "({[":
            stack.append(character)
        elif character in ")}]":
            assert stack.pop() + character in {"()", "{}", "[]"}
    assert not stack


def test_the_dashboard_has_the_shape_that_grafana_imports():
    assert {"title", "uid", "schemaVersion", "templating", "panels", "time"} <= set(DASHBOARD)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    for panel in PANELS:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["datasource"]["uid"] == "${datasource}"
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))
        for target in panel["targets"]:
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= variables


def test_no_two_panels_lie_on_one_another():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_queue_of_the_ledger_has_a_panel_and_a_rule():
    shown = set().union(*(names_in(target["expr"]) for panel in PANELS for target in panel["targets"]))
    alarmed = set().union(*(names_in(rule["expr"]) for rule in ALERTS))
    for _, count, age, _ in QUEUES:
        assert {count, age} & shown
        assert age in alarmed
