"""Where a key stands in a TOML file."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from ils_payment.problems import Source, dotted, translate
from ils_payment.toml_text import key_lines


def test_every_form_of_a_key_has_its_line():
    text = """\
# a comment
[server]
public_url = "x"
trusted_proxies = [
  "10.0.0.0/8",
]

[libraries."a-b"]
name = '''
[no.header]
x = 1
'''
pages.accent = "#000000"
[libraries.a-b.providers]
stripe = { plugin = "stripe", webhook_secrets = [
   { env = "A" } ] }
[[libraries.a-b.methods]]
method = "card"
[[libraries.a-b.methods]]
provider = "x"
  [libraries.a-b.methods.deep]
  y = 1
"""
    lines = key_lines(text)
    tomllib.loads(text)
    library = ("libraries", "a-b")
    assert lines["server",] == 2
    assert lines["server", "trusted_proxies"] == 4
    assert lines["server", "trusted_proxies", 0] == 4
    assert lines[(*library, "name")] == 9
    assert lines[(*library, "pages", "accent")] == 13
    assert lines[(*library, "providers", "stripe", "webhook_secrets", 0, "env")] == 15
    assert lines[(*library, "methods", 0, "method")] == 18
    assert lines[(*library, "methods", 1, "provider")] == 20
    assert lines[(*library, "methods", 1, "deep", "y")] == 22
    assert not any("no" in key for key in lines)


_names = st.sampled_from(["a", "b", '"c d"', "e-f"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["[{}]", "[[{}]]", "{} = 1", '{} = """\n[x]\n"""']), _names), max_size=12
    )
)
def test_each_key_that_tomllib_reads_has_the_line_on_which_its_name_stands(statements):
    text = "\n".join(form.format(name) for form, name in statements)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    rows = text.splitlines()
    for key, line in key_lines(text).items():
        names = [part for part in key if isinstance(part, str)]
        assert names[-1] in rows[line - 1]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((), ""),
        (("server",), "server"),
        (("libraries", "a", "methods", 0, "method"), "libraries.a.methods[0].method"),
    ],
)
def test_a_key_is_written_as_in_the_file(key, text):
    assert dotted(key) == text


def test_a_missing_key_is_placed_at_the_table_around_it(tmp_path):
    source = Source(tmp_path / "c.toml", {("server",): 3})
    assert source.place(("server", "public_url")) == "line 3"
    assert not source.place(("mail",))


def test_a_table_without_a_header_of_its_own_stands_where_its_first_part_does(tmp_path):
    text = "[[versions]]\nx = 1\n\n[versions.categorys.partner]\ny = 1\n[versions.categorys.child]\n"
    source = Source(tmp_path / "t.toml", key_lines(text))
    assert source.line(("versions", 0, "categorys")) == 4
    assert source.line(("versions", 0, "kinds")) == 1


class Inner(BaseModel):
    days: int = 1
    on: bool = True


class Outer(BaseModel):
    methods: tuple[Inner, ...] = ()
    names: tuple[str, ...] = ()
    text: str = ""
    port: int = Field(1, ge=1, le=65535)
    word: str | None = Field(None, min_length=1, max_length=5, description="What is read.")


@pytest.mark.parametrize(
    ("value", "what", "mend"),
    [
        (
            {"methods": {"days": 1}},
            "must be a list of tables, and a list is written with double brackets: [[town.methods]]",
            "Write [[town.methods]] instead of [town.methods], and repeat it for each table.",
        ),
        ({"names": "x"}, "must be a list", "Write names = [...]."),
        ({"text": []}, "must be a text", ""),
        ({"methods": [{"days": "x"}]}, "must be a whole number", "Write it like: days = 1"),
        ({"methods": [{"days": 1.5}]}, "must be a whole number", "Write it like: days = 1"),
        ({"methods": [{"on": []}]}, "must be true or false", "Write it like: on = true"),
        ({"port": 65536}, "must be at most 65535", "Write a number from 1 to 65535."),
        ({"port": 0}, "must be at least 1", "Write a number from 1 to 65535."),
        ({"word": "abcdef"}, "must have at most 5 characters", "What is read."),
        ({"word": ""}, "must have at least 1 characters", "What is read."),
    ],
)
def test_a_value_of_another_type_is_told_without_words_of_python(value, what, mend):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    [problem] = translate(caught.value, Outer, ("town",))
    assert (problem.what, problem.mend) == (what, mend)
