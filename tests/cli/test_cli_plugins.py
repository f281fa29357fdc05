"""``plugins`` says what is installed, from where, and whether it is used."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import distribution


def test_the_built_in_plugins_come_from_their_distribution_with_the_hash_of_its_record(ils_payment):
    ran = ils_payment("plugins", "--json")
    found = {one["name"]: one for one in json.loads(ran.out)}
    own = distribution("ils-payment")
    record = own.read_text("RECORD")
    assert record
    assert found["koha"] == {
        "name": "koha",
        "distribution": "ils-payment",
        "version": own.version,
        "record_sha256": hashlib.sha256(record.encode()).hexdigest(),
        "used": False,
    }
    assert "stripe" in found


def test_what_the_configuration_names_is_marked_as_used(ils_payment, tmp_path):
    path = tmp_path / "config.toml"
    ils_payment("init", path)
    found = {
        one["name"]: one["used"] for one in json.loads(ils_payment("--config", path, "plugins", "--json").out)
    }
    assert found["koha"]
    assert found["stripe"]


def test_a_broken_configuration_does_not_hide_the_list_that_helps_to_mend_it(ils_payment, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[server]\npublik_url = 'x'\n", encoding="utf-8")
    ran = ils_payment("--config", path, "plugins")
    assert ran.code == 0
    assert "koha" in ran.out
    assert "publik_url" in ran.err
