"""A course's settings: what is right is read, what is wrong is named with its key."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.course.config import FILE, CourseConfig, Form, form_field, read_config
from lowerbound.errors import InputError

FORM = '[form]\nurl = "https://airtable.com/shrAbc"\nstyle = "airtable"\n'


def configured(folder, text):
    Path(folder, FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_config(folder)


def test_no_file_no_folder_and_an_empty_file_are_the_defaults(tmp_path):
    assert read_config(tmp_path) == read_config(tmp_path / "none") == configured(tmp_path, "") == CourseConfig()


def test_all_that_can_be_set_is_read(tmp_path):
    found = configured(
        tmp_path,
        'name = "Vision 101"\ngroups = ["athena", "boreas"]\nrecap = "What stayed?"\nrepo = "ada/vision.101"\n'
        f'branch = "spring"\nchecks = "checks.py"\nlessons = "sources"\n{FORM}'
        '[form.fields]\nname = "pennkey"\n"response:strict_or_lax" = "q1"\n"05/recap" = "r"\n',
    )
    fields = {"name": "pennkey", "response:strict_or_lax": "q1", "05/recap": "r"}
    form = Form("https://airtable.com/shrAbc", "airtable", fields)
    assert found == CourseConfig(
        "Vision 101", ("athena", "boreas"), "What stayed?", form, "ada/vision.101", "spring", "checks.py", "sources"
    )


def test_a_file_from_another_system_is_read(tmp_path):
    assert configured(tmp_path, b'\xef\xbb\xbfname = "A"\r\nrecap = """x\r\ny"""\r\n').recap == "x\ny"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('group = ["a"]', '"group" is not known; did you mean "groups"?; expected name, groups'),
        ('groups = "athena"', "groups is 'athena'; expected a list of names"),
        ("groups = [1]", "groups is [1]; expected a list"),
        ('groups = ["a", "a"]', "one twice"),
        ('groups = [" "]', "empty name"),
        ("name = 3", "name is 3; expected text"),
        ('name = ""', "name is empty"),
        ("recap = true", "recap is True; expected text"),
        ('repo = "https://github.com/a/b"', "expected owner/name"),
        ('checks = "../other.py"', 'checks is "../other.py"; expected a path within'),
        ('lessons = "/etc"', "expected a path within"),
        ('lessons = "C:\\\\x"', "expected a path within"),
        ('form = "https://a.b"', "expected a table [form]"),
        ('[form]\nurl = "https://a.b"', "form.style is missing"),
        ('[form]\nurl = "https://a.b"\nstyle = "gogle"', 'form.style is "gogle"; did you mean "google"?'),
        ('[form]\nurl = "a.b"\nstyle = "google"', "form.url"),
        ('[form]\nurl = "javascript://a.b/%0aalert(1)"\nstyle = "google"', "form.url"),
        ('[form]\nurl = "https://[a"\nstyle = "google"', "form.url"),
        (FORM + "link = 1", '"form.link" is not known'),
        (FORM + "fields = 1", "form.fields is 1"),
        (FORM + '[form.fields]\nnmae = "x"', 'form.fields has "nmae"; did you mean "name"?'),
        (FORM + "[form.fields]\nname = 4", 'form.fields."name" is 4'),
        (FORM + '[form.fields]\n"feedback:beter" = "x"', 'did you mean "better"?'),
        (FORM + '[form.fields]\nresponse = "x"', 'form.fields has "response"'),
        ("name = ", "is not TOML"),
        (b'name = "\xff"', "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(InputError) as wrong:
        configured(tmp_path, text)
    assert words in str(wrong.value)
    assert FILE in str(wrong.value)


@pytest.mark.parametrize(
    "field", ["name", "05/recap", "response:a:b/c", "05/feeling:2", "feedback:group", "json", "01/seconds"]
)
def test_a_field_is_taken_apart_and_can_be_put_together(field):
    lesson, what, about = form_field(field)
    assert f"{lesson}/{what}".removeprefix("/") + (f":{about}" if about else "") == field


SINGLE = st.one_of(st.text().map(repr), st.integers().map(str), st.just("[]"), st.just("{a = 1}"), st.just("true"))
KEYS = st.sampled_from(["name", "groups", "recap", "form", "repo", "branch", "checks", "lessons", "form.url", "form.x"])
LINES = st.lists(st.tuples(KEYS, SINGLE).map(" = ".join)).map("\n".join)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.one_of(LINES.map(lambda text: text.encode(errors="replace")), st.binary()))
def test_any_file_is_read_or_refused_in_words(content):
    with tempfile.TemporaryDirectory() as folder:
        try:
            found, said = configured(folder, content), FILE
        except InputError as wrong:
            found, said = None, str(wrong)
    assert found is None or isinstance(found, CourseConfig)
    assert FILE in said
    assert said.isprintable()
