"""What an administrator writes, what is refused with a mend, and what ``ils-payment check`` shows."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from ils_payment_opac_soap.building import Builder, UnbuildableError, wsdl_bytes
from ils_payment_opac_soap.config import SOAPConfig
from ils_payment_opac_soap.preset import Preset, builtin, read_builtin, read_wsdl
from ils_payment_opac_soap.simulator import Fault
from pydantic import ValidationError

from ils_payment.errors import ConfigurationError
from ils_payment.model import Applied, Level, NotApplied, RawRequest, Reply
from tests.opac_soap.conftest import CARD, PIN, PRESETS, Stand, table

TEST_CARD: dict[str, Any] = {"check_card": {"env": "TEST_SOAP_CARD"}, "check_pin": {"env": "TEST_SOAP_PIN"}}


def refused(preset: str = "symphony", **changes: Any) -> str:
    with pytest.raises(ValidationError) as told:
        SOAPConfig.model_validate(table(preset, **changes))
    return str(told.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preset_file": "x.toml"}, "absolute path"),
        ({"preset_file": "/nowhere/x.toml"}, "cannot be read"),
        ({"url": "http://opac.example/x"}, "https"),
        ({"url": "ftp://opac.example"}, "no web address"),
        ({"url": "https://a:b@opac.example"}, "http_user"),
        ({"url": "https://opac.example/?wsdl"}, "before any"),
        ({"urls": {"nonesuch": "https://x.example"}}, "there is no service 'nonesuch'"),
        ({"values": {}}, "values.client_id is missing"),
        ({"values": {"client_id": "x", "klient": "y"}}, "values.klient"),
        ({"enable": ["fly"]}, "no operation 'fly'"),
        ({"disable": ["renew"]}, "no operation 'renew'"),
        ({"http_user": "x"}, "http_user and http_password"),
        ({"wsdl": {"patron": {"file": "/nowhere.wsdl", "sha256": "0" * 64}}}, "wsdl.patron"),
        ({"wsdl": {"patron": {"file": "/x.wsdl", "sha256": "1"}}}, "sha256"),
        ({"surprise": 1}, "surprise"),
        ({"errors": {"paths": ["x"]}}, "errors.paths"),
        ({"errors": {"nonesuch": ["x"]}}, "errors.nonesuch"),
    ],
)
def test_what_cannot_work_is_refused_with_a_mend(changes, said):
    assert said in refused(**changes)


@pytest.mark.parametrize("changes", [{"preset": None}, {"preset_file": "/x.toml"}])
def test_one_preset_is_named_and_not_two(changes):
    with pytest.raises(ValidationError, match="give either preset or preset_file"):
        SOAPConfig.model_validate(table() | changes)


def test_an_unknown_preset_is_refused_with_the_list_of_those_there_are():
    with pytest.raises(ValidationError, match="arena, libero, ncip, sunrise-rpc, symphony"):
        SOAPConfig.model_validate(table() | {"preset": "koha"})


def test_a_short_key_is_refused(monkeypatch):
    monkeypatch.setenv("TEST_SOAP_SHORT", "short")
    assert "openssl rand" in refused(patron_key={"env": "TEST_SOAP_SHORT"})


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_marked_and_says_what_it_rests_on(name):
    preset = Preset.model_validate(read_builtin(name))
    assert preset.verified is False
    assert preset.rests_on
    for _, operation in preset.operations.all():
        assert operation.known in {"documented", "seen", "unverified"}
        assert operation.source
    there = {place for place, _ in preset.operations.all()}
    assert not there & set(preset.absent)
    assert set(builtin()) == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_every_request_of_a_preset_can_be_made(name):
    enable = {"symphony": ["credits"], "ncip": ["renew", "unblock"]}.get(name, [])
    findings = Stand(name, enable=enable).system.check()
    requests = [one for one in findings if one.subject.startswith("request ")]
    assert len(requests) == len(dict(Preset.model_validate(read_builtin(name)).operations.all()))
    assert all(one.level is Level.OK for one in requests), requests


def own_preset(tmp_path, old: str = "", new: str = "") -> str:
    text = (files("ils_payment_opac_soap") / "presets" / "symphony.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return str(path)


def test_a_library_copies_a_preset_and_changes_it(tmp_path):
    path = own_preset(tmp_path, 'paymentTypeID = "{method}"', 'paymentTypeID = "KASSE"')
    stand = Stand(preset_file=path)
    assert isinstance(stand.system.settle(stand.order()), Applied)
    [credit] = stand.books()["credits"].values()
    assert credit["payment_type"] == "KASSE"


PAID = 'ok = [{ path = "*/feePaymentRecorded" }, { path = "*/feePaymentProblem", absent = true }]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('paymentTypeID = "{method}"', 'paymentTypeID = "{metod}"', "{metod} cannot be filled in"),
        ('input = { login = "{user}"', 'input = { login = "{pin}"', "{pin} cannot be filled in"),
        ('items = "*/feeInfo"', 'items = "feeInfo//x"', "no path"),
        ('service = "circulation"', 'service = "cash"', "no service 'cash'"),
        ("verified = false", 'verified = false\nsurprise = "x"', "surprise"),
        ('money = "point"', 'money = "dots"', "money"),
        (PAID, "ok = []", "pay.ok"),
        ('billKey = ["{ref}"]', 'billKey = ["1"]', "names no {ref}"),
        ('{ "#text" = "{line_amount}" }', '{ "#text" = "4.50" }', "names no {amount}"),
        ('per = "fee"', 'per = "order"\nmoney = "text"', "operations.pay.money"),
        ('per = "fee"\ninput = {', 'per = "order"\ninput = { x = "{ref}",', "stand in lists"),
        ('title = "Sirsi', "title = Sirsi", "no TOML file"),
    ],
)  # fmt: skip
def test_a_preset_with_a_fault_is_refused_by_its_place(tmp_path, old, new, said):
    assert said in refused(preset_file=own_preset(tmp_path, old, new))


def test_a_wsdl_that_is_not_the_approved_one_is_refused_at_the_start_and_before_each_use(tmp_path):
    original = read_wsdl("symphony.wsdl", None)
    own = tmp_path / "own.wsdl"
    own.write_bytes(original)
    named = {"file": str(own), "sha256": hashlib.sha256(original).hexdigest()}
    stand = Stand("symphony", wsdl={"circulation": named})
    order = stand.order()
    own.write_bytes(original.replace(b"billKey", b"evilKey"))
    assert "not the approved file" in refused(wsdl={"circulation": named})
    outcome = stand.system.settle(order)
    assert isinstance(outcome, NotApplied)
    assert "not the one that was approved" in outcome.reason
    assert stand.sent() == 0
    own.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        wsdl_bytes(stand.config.spoken.services["circulation"], stand.config)


HOSTILE = {
    "imports from elsewhere": (
        b"<wsdl:types>",
        b'<wsdl:import namespace="urn:x" location="http://127.0.0.1:1/x.wsdl"/><wsdl:types>',
    ),
    "imports a file": (
        b"<wsdl:types>",
        b'<wsdl:import namespace="urn:x" location="file:///etc/hostname"/><wsdl:types>',
    ),
    "a document type": (b"<!--", b'<!DOCTYPE x [<!ENTITY e "x">]><!--'),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_wsdl_loads_nothing_and_has_no_document_type(tmp_path, case):
    old, new = HOSTILE[case]
    content = read_wsdl("symphony.wsdl", None).replace(old, new, 1)
    own = tmp_path / "own.wsdl"
    own.write_bytes(content)
    named = {"file": str(own), "sha256": hashlib.sha256(content).hexdigest()}
    config = SOAPConfig.model_validate(table(wsdl={"security": named}))
    operation = config.spoken.operations.login
    assert operation is not None
    with pytest.raises(UnbuildableError):
        Builder(config).build(operation, {**config.all_values, "user": "u", "password": "p", "token": ""})


def test_a_preset_for_another_wsdl_is_told_and_nothing_is_sent(tmp_path):
    stand = Stand(preset_file=own_preset(tmp_path, "billUserID", "billOwner"))
    outcome = stand.system.settle(stand.order())
    assert isinstance(outcome, NotApplied)
    assert "cannot be made after the WSDL" in outcome.reason
    assert stand.sent() == 0
    [shown] = [one for one in stand.system.check() if one.subject == "request pay"]
    assert shown.level is Level.ERROR


# --- check ----------------------------------------------------------------------------------------


def found(stand: Stand) -> dict[str, Any]:
    return {one.subject: one for one in stand.system.check()}


@pytest.mark.parametrize("preset", PRESETS)
def test_check_shows_requests_and_answers_and_nothing_secret_or_personal(preset):
    stand = Stand(preset, **TEST_CARD)
    findings = stand.system.check()
    shown = str(findings)
    for hidden in (CARD, PIN, "demo-secret", "Erika", "Säumnis", "session-1"):
        assert hidden not in shown, hidden
    errors = [one.subject for one in findings if one.level is Level.ERROR]
    assert errors == ([] if preset in {"arena", "ncip", "symphony"} else ["preset: use"])
    assert any(one.subject == "preset" and one.level is Level.WARNING for one in findings)
    if stand.server.voice.pays:
        assert stand.sent() == 0
        fees = {one.subject: one for one in findings}["answer to fees"]
        assert "amounts in cents: 450, 150, 250, 400; balance: 1250" in fees.seen


def test_check_without_a_test_card_says_what_was_not_tried():
    answers = found(Stand("symphony"))["answers"]
    assert (answers.level, "check_card" in answers.mend) == (Level.WARNING, True)
    assert found(Stand("symphony"))["answer to login"].level is Level.OK


def test_check_tells_a_server_that_is_away_and_one_that_garbles():
    stand = Stand("symphony", **TEST_CARD)
    stand.world.remotes = {}
    assert found(stand)["answer to fees"].level is Level.ERROR
    stand = Stand("ncip", **TEST_CARD)
    stand.server.go_wrong(Fault.HTML_200, "LookupUser", 20)
    answers = found(stand)
    assert answers["answer to fees"].level is Level.ERROR
    assert "cannot be read" in answers["answer to fees"].seen


def test_check_finds_a_service_that_takes_any_pin():
    stand = Stand("symphony", **TEST_CARD)
    stand.server.voice.signed_in = lambda *_: True
    assert found(stand)["answer to a wrong PIN"].seen == "A wrong PIN is accepted."


def test_check_finds_a_refusal_that_the_preset_does_not_know(tmp_path):
    path = own_preset(tmp_path, "errors = { refused =", "errors = { unclear =")
    answers = found(Stand(preset_file=path, **TEST_CARD))
    assert answers["answer to a wrong PIN"].level is Level.ERROR
    assert "errors.refused" in answers["answer to a wrong PIN"].mend


def test_check_lists_what_is_absent_and_why():
    absent = found(Stand("symphony"))["absent: renew"]
    assert "no public document" in absent.seen


def test_a_real_table_in_toml_is_read():
    text = """
preset = "ncip"
url = "https://ils.example/ncip"
values = { agency = "DE-1", our_agency = "PAY" }
patron_key = { env = "TEST_SOAP_KEY" }
"""
    config = SOAPConfig.model_validate(tomllib.loads(text))
    assert config.address_of("ncip") == "https://ils.example/ncip"
    assert config.all_values["privilege"] == "LIBRARY"


def test_http_basic_is_sent_where_the_server_wants_it(monkeypatch):
    monkeypatch.setenv("TEST_SOAP_HTTP", "canary")
    stand = Stand("ncip", http_user="pay", http_password={"env": "TEST_SOAP_HTTP"})
    seen: list[str | None] = []
    handle = stand.server.handle

    def noted(request: RawRequest) -> Reply:
        seen.append(request.headers.get("authorization"))
        return handle(request)

    monkeypatch.setattr(stand.server, "handle", noted)
    assert isinstance(stand.erika, str)
    assert seen == ["Basic cGF5OmNhbmFyeQ=="]


DOCS = Path(__file__).resolve().parents[2] / "docs" / "opac-soap.md"


def test_the_table_of_the_page_loads(monkeypatch):
    [block] = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    for name in ("PASSWORD", "TEST_CARD", "TEST_PIN", "KEY"):
        monkeypatch.setenv(f"OPAC_SOAP_{name}", "x" * 40)
    block = re.sub(r'\{ file = "[^"]*" \}', '{ env = "OPAC_SOAP_KEY" }', block)
    written = tomllib.loads(block)["libraries"]["herrenberg"]["library_system"]
    assert written.pop("plugin") == "opac-soap"
    assert SOAPConfig.model_validate(written).spoken.title.startswith("SirsiDynix")


def test_the_preset_of_the_page_is_one():
    blocks = re.findall(r"```text\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    preset = Preset.model_validate(tomllib.loads(blocks[1]))
    assert [name for name, _ in preset.operations.all()] == ["fees", "pay"]


def test_the_page_tells_of_every_preset_and_of_every_absent_payment():
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in builtin())
    without = {name for name in builtin() if "pay" not in read_builtin(name)["operations"]}
    assert without == {"libero", "sunrise-rpc"}
    assert "`libero` and `sunrise-rpc` cannot pay" in text


def test_zeep_is_loaded_for_libraries_that_need_it_only():
    program = (
        "import sys; import ils_payment.cli.main; from ils_payment.plugins import Plugins; Plugins({'koha'});"
        "print([name for name in ('zeep', 'lxml', 'ils_payment_opac_soap') if name in sys.modules]);"
        "Plugins({'opac-soap'}); print('zeep' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[:2] == ["[]", "True"]
