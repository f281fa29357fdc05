"""Replays the traffic that was recorded on a running Koha 23.05.04 against the simulated one.

The recordings are other people's data and lie outside of this project, in the folder that
``ILS_PAYMENT_SHARED_DATA`` names (``koha-live/*.json``; see CONTRIBUTING.md, "Recordings").
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pymarc
import pytest
from ils_payment_koha.simulator import KohaHabits, KohaSimulator

from ils_payment.model import RawRequest, Reply
from tests.koha.koha_recorded_library import CLIENT, PASSWORD, SECRET, recorded_koha

VARIABLE = "ILS_PAYMENT_SHARED_DATA"
FOLDER = Path(os.environ.get(VARIABLE, "")) / "koha-live"

COMPARED_HEADERS = ("Content-Type", "Link", "Location", "X-Base-Total-Count", "X-Total-Count")

EXPECTED: dict[tuple[str, str], str] = {}
"""Deviations that stay, each with its reason: (file, label) -> why the simulator differs."""


class Replay:
    """Sends one file's requests in order and collects what differs from the recorded answers."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.deviations: list[tuple[str, str, str]] = []
        self.requests = 0
        self.reset()

    def reset(self) -> None:
        self.koha = recorded_koha()
        self.token = self.new_token()

    def new_token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        reply = self.send("POST", "/api/v1/oauth/token", headers, urlencode(form).encode())
        return str(json.loads(reply.body)["access_token"])

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        url = urlsplit(path)
        known = {name.lower(): value for name, value in headers.items()} | {"host": "127.0.0.1:8081"}
        request = RawRequest(method=method, path=url.path, query=url.query, headers=known, body=body)
        return self.koha.handle(request)

    def run(self, exchanges: list[dict[str, Any]]) -> None:
        for at, entry in enumerate(exchanges):
            prepare(self, at, entry["label"])
            if "request" in entry:
                self.exchange(entry)
            else:
                self.observation(entry["label"], entry["observed"])

    def exchange(self, entry: dict[str, Any]) -> None:
        self.requests += 1
        asked, expected = entry["request"], entry["response"]
        headers = dict(asked["headers"])
        if "Authorization" in headers:
            headers["Authorization"] = credentials(self, entry["label"], headers["Authorization"])
        reply = self.send(asked["method"], asked["path"], headers, body_of(entry["label"], asked))
        if reply.status != expected["status"]:
            self.differs(entry["label"], f"status {reply.status}, recorded {expected['status']}")
        for name in COMPARED_HEADERS:
            mine, recorded = header(reply.headers, name), header(tuple(pairs(expected["headers"])), name)
            if mine != recorded:
                self.differs(entry["label"], f"{name} {mine}, recorded {recorded}")
        body = read(reply, expected["body"])
        for what in compare(body, comparable(expected["body"], headers.get("Accept", "")), ""):
            self.differs(entry["label"], what)

    def observation(self, label: str, observed: Any) -> None:
        """Compare what was seen in Koha's database, where the recording says it row by row."""
        if label == "-> new lines | changed debits":
            mine: Any = [new_lines(self.koha), changed_debits(self.koha)]
        elif label in {"account lines in the database", "database", "db", "-> lines of anna"}:
            mine = [row.split() for row in rows_of(self.koha, 8 if self.file == "rounding" else 4)]
            observed = [row.split() for row in observed]
        elif label == "offsets":
            mine = applied(self.koha)
            observed = [row.split()[1:3] + row.split()[4:] for row in observed if " APPLY " in row]
        elif "raw JSON text" in label and self.file == "rounding" and isinstance(observed, list):
            mine = numbers(self, 7 if "26 debits" in label else 8, totals="26 debits" in label)
        else:
            return
        if mine != observed:
            self.differs(label, f"{mine}, recorded {observed}")

    def differs(self, label: str, what: str) -> None:
        self.deviations.append((self.file, label, what))


def prepare(replay: Replay, at: int, label: str) -> None:
    """Bring the simulated Koha to where the real one was when this entry was recorded."""
    preferences = FRESH.get((replay.file, at))
    if preferences is not None:
        replay.reset()
        for name, value in preferences.items():
            setattr(replay.koha.habits, name, value)
    replay.koha.habits.basic_auth = not label.startswith("RESTBasicAuth off")
    replay.koha.habits.oauth = not label.startswith("RESTOAuth2ClientCredentials off")
    replay.koha.database_down(down=label.startswith("database down"))
    if (replay.file, label) in BEFORE:
        BEFORE[replay.file, label](replay)


def let_the_token_expire(replay: Replay) -> None:
    replay.koha.world.pause("an hour", 3600)


def fetch_a_token(replay: Replay) -> None:
    replay.token = replay.new_token()


def repeat_what_impatient_clients_sent(replay: Replay) -> None:
    """Clients that closed the connection sent these; each was booked, three times 20.00."""
    for _ in range(3):
        send_credit(replay, 10, 20.0)


def charge_sixteen_odd_debits(replay: Replay) -> None:
    """They were posted unrecorded; their sum is known from the total."""
    for cents in [*range(101, 116), 16063 - sum(range(101, 116))]:
        replay.koha.add_fee(7, cents)


def let_annas_password_expire(replay: Replay) -> None:
    replay.koha.set_password(4, PASSWORD, expired=True)


def send_credit(replay: Replay, patron_id: int, amount: float, **more: object) -> Reply:
    path = f"/api/v1/patrons/{patron_id}/account/credits"
    headers = {"authorization": f"Bearer {replay.token}", "accept": "application/json"}
    return replay.send("POST", path, headers, json.dumps({"amount": amount, **more}).encode())


def double_apply(replay: Replay) -> None:
    """Let a second credit come in while the first has read what is open and not yet written."""
    koha = replay.koha
    koha.habits.deadlock_rate = 0.0
    inside: list[str] = []
    pause = koha.world.pause

    def meanwhile(name: str, seconds: float) -> None:
        pause(name, seconds)
        if name == "credit.between_read_and_write" and not inside:
            inside.append(name)
            send_credit(replay, 11, 5.0, account_lines_ids=[21], note="k1")

    koha.world.pause = meanwhile  # type: ignore[method-assign]  # the interleaving is this test's business
    send_credit(replay, 11, 5.0, account_lines_ids=[21], note="k0")
    koha.world.pause = pause  # type: ignore[method-assign]  # see above


FRESH: dict[tuple[str, int], dict[str, bool]] = {("credits-wrong", at): {} for at in range(0, 83, 2)} | {
    ("credits-wrong", 94): {"require_payment_type": True},
    ("credits-wrong", 96): {"use_cash_registers": True},
    ("credits-wrong", 98): {"use_cash_registers": True},
    ("credits-wrong", 100): {"auto_credit_number": True},
    ("patron-put", 42): {},
    ("stuck-credit", 6): {},
}
"""Entries (file, position) that were recorded on reset data, with the system preferences set for them."""

BEFORE: dict[tuple[str, str], Callable[[Replay], None]] = {
    ("double-apply-seen-by-api", "account"): double_apply,
    ("extra", "account after"): repeat_what_impatient_clients_sent,
    ("extra", "new token"): fetch_a_token,
    ("extra", "token expired"): let_the_token_expire,
    ("password-validation", "password expired, good"): let_annas_password_expire,
    ("rounding", "26 debits of odd cents: total in the JSON text"): charge_sixteen_odd_debits,
}
"""What happened to the real Koha, unrecorded, before an entry (file, label)."""


def credentials(replay: Replay, label: str, masked: str) -> str:
    """The credentials behind the mask, as far as the label tells."""
    if masked.startswith("Bearer"):
        return "Bearer wrong" if label in {"bad bearer", "garbage bearer"} else f"Bearer {replay.token}"
    if label == "basic not base64":
        return "Basic %%%"
    without = ("user without", "account without rights", "account, no rights")
    limited = ("account with edit_borrowers only", "by edit_borrowers only")
    user = "nurlesen" if label.startswith(without) else "kassenapi" if label.startswith(limited) else "super"
    user = "nobody" if label == "basic unknown user" else user
    password = "wrong" if label == "basic wrong password" else PASSWORD
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def body_of(label: str, asked: dict[str, Any]) -> bytes:
    if "form" in asked:
        secret = SECRET if label in {"token ok", "RESTOAuth2ClientCredentials off, token"} else "wrong"
        return urlencode({k: secret if v == "***" else v for k, v in asked["form"].items()}).encode()
    if "raw_body" in asked:
        return str(asked["raw_body"]).encode()
    body = asked.get("body")
    if isinstance(body, dict) and str(body.get("password", "")).startswith("***"):
        right = "good" in label or label.startswith(("dora right", "account with"))
        body = body | {"password": "" if label == "empty password" else PASSWORD if right else "wrong"}
    return b"" if body is None else json.dumps(body).encode()


def pairs(headers: dict[str, Any]) -> list[tuple[str, str]]:
    return [(n, v) for n, vs in headers.items() for v in (vs if isinstance(vs, list) else [vs])]


def header(headers: tuple[tuple[str, str], ...], name: str) -> list[str]:
    values = [value for key, value in headers if key.lower() == name.lower()]
    return [re.sub(r"HASH%280x[0-9a-f]+%29", "HASH%280x0%29", value) for value in values]


def read(reply: Reply, recorded: Any) -> Any:
    kind = header(reply.headers, "Content-Type")
    text = reply.body.decode()
    if kind and "json" in kind[0]:
        return comparable(json.loads(text), "json")
    if kind and "xml" in kind[0]:
        return comparable(text, "application/marcxml+xml")
    return text


def comparable(body: Any, form: str) -> Any:
    """A body without what changes from run to run; MARC XML as the record it holds."""
    if isinstance(body, str) and form == "application/marcxml+xml":
        return pymarc.parse_xml_to_array(io.BytesIO(body.encode()))[0].as_dict()
    if isinstance(body, dict):
        return {name: comparable("<token>" if name == "access_token" else v, "") for name, v in body.items()}
    if isinstance(body, list):
        return [comparable(entry, "") for entry in body]
    if isinstance(body, str):
        return re.sub(r"\d{4}-\d\d-\d\dT(?!00:00:00)\d\d:\d\d:\d\d(?=\+01:00)", "<time>", body)
    return body


def compare(mine: Any, recorded: Any, where: str) -> list[str]:
    """What differs, by path; 20 and 20.0 are different, as they are in the JSON text."""
    if isinstance(mine, dict) and isinstance(recorded, dict):
        missing = [f"{where}/{name} only {side}" for name, side in one_sided(mine, recorded)]
        both = sorted(set(mine) & set(recorded))
        return missing + [
            what for name in both for what in compare(mine[name], recorded[name], f"{where}/{name}")
        ]
    if isinstance(mine, list) and isinstance(recorded, list):
        cut = (
            recorded
            and isinstance(recorded[-1], str)
            and re.fullmatch(r"\.\.\. (\d+) more of the same shape", recorded[-1])
        )
        if cut:
            recorded = recorded[:-1]
            if len(mine) != len(recorded) + int(cut[1]):
                return [f"{where} has {len(mine)} entries, recorded {len(recorded) + int(cut[1])}"]
            mine = mine[: len(recorded)]
        if len(mine) != len(recorded):
            return [f"{where} has {len(mine)} entries, recorded {len(recorded)}"]
        return [
            w
            for at, (a, b) in enumerate(zip(mine, recorded, strict=True))
            for w in compare(a, b, f"{where}/{at}")
        ]
    if type(mine) is type(recorded) and mine == recorded:
        return []
    return [f"{where} {mine!r}, recorded {recorded!r}"]


def one_sided(mine: dict[str, Any], recorded: dict[str, Any]) -> list[tuple[str, str]]:
    here = [(name, "simulated") for name in sorted(set(mine) - set(recorded))]
    return here + [(name, "recorded") for name in sorted(set(recorded) - set(mine))]


def new_lines(koha: KohaSimulator) -> list[str]:
    lines = [line for line_id, line in sorted(koha.tables.lines.items()) if line_id >= 170]
    return [
        f"{line.line_id} {line.patron_id} {line.credit_type or line.debit_type} {line.amount:.6f} "
        f"{line.outstanding:.6f} {line.payment_type or 'NULL'} {line.library_id or 'NULL'}"
        for line in lines
    ]


def changed_debits(koha: KohaSimulator) -> list[str]:
    lines = [line for line_id, line in sorted(koha.tables.lines.items()) if line_id < 170]
    return [f"{line.line_id}={line.outstanding:.6f}" for line in lines if line.outstanding != line.amount]


def rows_of(koha: KohaSimulator, patron_id: int) -> list[str]:
    return [
        f"{line.line_id} {line.credit_type or line.debit_type} {line.amount:.6f} {line.outstanding:.6f} "
        f"{line.status or ''} {line.note}"
        for line in koha.tables.lines_of(patron_id)
    ]


def applied(koha: KohaSimulator) -> list[list[str]]:
    return [
        [str(row.credit_id), str(row.debit_id), f"{-row.amount if row.amount else row.amount:.6f}"]
        for row in koha.tables.offsets
    ]


def numbers(replay: Replay, patron_id: int, *, totals: bool) -> list[str]:
    """The numbers of an account as they stand in the JSON text."""
    headers = {"authorization": f"Bearer {replay.token}", "accept": "application/json"}
    text = replay.send("GET", f"/api/v1/patrons/{patron_id}/account", headers, b"").body.decode()
    names = "balance|total" if totals else "balance|total|amount|amount_outstanding"
    return [f'"{name}":{value}' for name, value in re.findall(rf'"({names})":([-0-9.e]+)', text)]


if VARIABLE not in os.environ:

    def test_recordings_folder_is_not_named_so_nothing_was_replayed():
        assert VARIABLE not in os.environ

else:
    FILES = sorted(path.stem for path in FOLDER.glob("*.json"))

    def test_all_recorded_files_are_there():
        assert len(FILES) == 18, f"{VARIABLE} names {FOLDER.parent}: it holds {FILES}"

    @pytest.mark.parametrize("file", FILES)
    def test_simulated_koha_answers_as_the_recorded_one(file):
        replay = Replay(file)
        replay.run(json.loads((FOLDER / f"{file}.json").read_text())["exchanges"])
        sys.stdout.write(
            f"{file}: {replay.requests} requests replayed, {len(replay.deviations)} deviations\n"
        )
        for name, label, what in replay.deviations:
            reason = EXPECTED.get((name, label), "UNEXPECTED")
            sys.stdout.write(f"  {name} | {label} | {what} | {reason}\n")
        seen = {(name, label) for name, label, _ in replay.deviations}
        assert seen == {key for key in EXPECTED if key[0] == file}

    def test_default_latencies_are_the_recorded_medians():
        names = {
            "token": "POST oauth/token",
            "patrons.list": "GET patrons?cardnumber (bearer)",
            "patrons.get": "GET patrons/{id} (bearer)",
            "patrons.put": "PUT patrons/{id}",
            "account.get": "GET account",
            "debits.list": "GET account/debits",
            "debits.add": "POST debits",
            "credits.add": "POST credits (2 lines)",
            "password.validation": "POST password validation",
            "biblios.get": "GET biblio marc-in-json",
        }
        rows = json.loads((FOLDER / "latency.json").read_text())["exchanges"]
        recorded = {row["label"]: row["observed"]["median"] for row in rows}
        for operation, label in names.items():
            assert KohaHabits().latency[operation] * 1000 == pytest.approx(recorded[label], abs=1), operation
