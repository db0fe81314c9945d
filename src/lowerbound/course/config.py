"""What a course sets for itself: ``course.toml`` in its folder, or the course of this package where there is none."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from lowerbound.errors import InputError, nearest

__all__ = ["FEEDBACK", "FILE", "CourseConfig", "Form", "form_field", "read_config"]

FILE = "course.toml"
STYLES = ("airtable", "google")
FEEDBACK = ("better", "group", "feeling")
ALONE = ("name", "group", "course", "written", "recap", "seconds", "checks", "json")
WITH_ID = ("response", "discuss", "feeling", "feedback")
_SIZE = 1_000_000  # bytes; a configuration is a page of text
_FIELD = re.compile(r"(?:(?P<lesson>[^/:]+)/)?(?P<what>[^/:]+)(?::(?P<id>.+))?", re.DOTALL)


@dataclass(frozen=True)
class Form:
    """A form on the web that a link fills in beforehand; nothing is sent before the learner presses its button.

    Attributes:
        url: The form's address.
        style: ``airtable`` (``prefill_NAME=value``) or ``google`` (``entry.ID=value``).
        fields: Our field -> the form's name of it. Ours are ``name``, ``group``, ``course``, ``written``, ``recap``,
            ``seconds``, ``checks``, ``json``, and with an id ``response:ID``, ``discuss:ID``, ``feeling:SECTION``,
            ``feedback:better`` (``group``, ``feeling``). ``05/`` before one takes it from that lesson alone.
    """

    url: str
    style: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CourseConfig:
    """A course's own settings.

    Attributes:
        name: Its title, shown in hand-ins and reports.
        groups: What a learner may choose as a group; none if it is a free field.
        recap: The question about the week before; empty if the course asks none.
        form: The form that a hand-in's link fills in, if any.
        repo: ``owner/name`` on GitHub, for badges that open a notebook in Colab; empty for none.
        branch: The branch that badges open.
        checks: A Python file in the folder with the course's own exercises; empty for none.
        lessons: The folder in which the sources of lessons lie.
    """

    name: str = "lowerbound: from PCA to the VAE"
    groups: tuple[str, ...] = ()
    recap: str = ""
    form: Form | None = None
    repo: str = ""
    branch: str = "main"
    checks: str = ""
    lessons: str = "lessons"


def read_config(folder: Path | str) -> CourseConfig:
    """The settings in a folder's ``course.toml``, or the defaults if it has none.

    Args:
        folder: The course's folder, or the learner's.

    Raises:
        InputError: Not TOML, a key that is not known, or a value of another type than its key's.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, FILE).write_text('groups = ["athena", "boreas"]', encoding="utf-8")
        ...     read_config(folder).groups
        ('athena', 'boreas')
    """
    path = Path(folder) / FILE
    try:
        if not path.exists():
            return CourseConfig()
        with path.open("rb") as file:
            content = file.read(_SIZE + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); mend or remove it") from error
    if len(content) > _SIZE:
        raise InputError(
            f"{path} holds more than {_SIZE // 1_000_000} MB; expected a page of TOML; is it another file?"
        )
    try:
        # newlines as TOML wants them, whatever the editor wrote
        settings = tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not TOML ({error}); expected lines like groups = [...]; mend it") from error
    try:
        return _course(settings)
    except InputError as wrong:
        raise InputError(f"{path}: {wrong}") from wrong


def form_field(name: str) -> tuple[str, str, str]:
    """A field of ours taken apart: the lesson it is taken from (empty for any), what it is, and its id (empty for none).

    Raises:
        InputError: It names nothing that a hand-in has.

    Example:
        >>> form_field("05/response:strict_or_lax")
        ('05', 'response', 'strict_or_lax')
        >>> form_field("respons:strict_or_lax")
        Traceback (most recent call last):
        lowerbound.errors.InputError: form.fields has "respons:strict_or_lax"; did you mean "response"? ...
    """
    parts = _FIELD.fullmatch(name)
    lesson, what, about = (parts[key] or "" for key in ("lesson", "what", "id")) if parts else ("", name, "")
    if what in ALONE and not about:
        return lesson, what, about
    if what in WITH_ID and about and (what != "feedback" or about in FEEDBACK):
        return lesson, what, about
    near = nearest(about, FEEDBACK) if what == "feedback" else nearest(what, (*ALONE, *WITH_ID))
    known = ", ".join(
        (*ALONE, "response:ID", "discuss:ID", "feeling:SECTION", *(f"feedback:{part}" for part in FEEDBACK))
    )
    raise InputError(f"form.fields has {_quoted(name)}{near}; expected {known}")


def _course(settings: dict[str, Any]) -> CourseConfig:
    """The settings of the top level, each checked."""
    _refuse_unknown(settings, [known.name for known in fields(CourseConfig)], "")
    given = {name: _text(settings, name) for name in settings if name not in ("groups", "form")}
    if "name" in given and not given["name"].strip():
        raise InputError("name is empty; expected the course's title; write one, or leave the line out")
    if given.get("repo") and not re.fullmatch(r"[\w.-]+/[\w.-]+", given["repo"]):
        raise InputError(f"repo is {_quoted(given['repo'])}; expected owner/name as on GitHub")
    for name in ("checks", "lessons"):
        _refuse_outside(given.get(name, ""), name)
    groups = _groups(settings["groups"]) if "groups" in settings else ()
    return CourseConfig(**given, groups=groups, form=_form(settings["form"]) if "form" in settings else None)


def _form(settings: Any) -> Form:
    """The table ``[form]``."""
    if not isinstance(settings, dict):
        raise InputError(f"form is {_said(settings)}; expected a table [form] with url, style and fields")
    _refuse_unknown(settings, [known.name for known in fields(Form)], "form.")
    for name in ("url", "style"):
        if name not in settings:
            raise InputError(f"form.{name} is missing; expected url, style and fields under [form]")
    url, style = _text(settings, "url", "form."), _text(settings, "style", "form.")
    if style not in STYLES:
        raise InputError(f"form.style is {_quoted(style)}{nearest(style, STYLES)}; expected {' or '.join(STYLES)}")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or not url.isprintable() or " " in url:
        raise InputError(f"form.url is {_quoted(url)}; expected the address of a form, https://...")
    named = settings.get("fields", {})
    if not isinstance(named, dict):
        raise InputError(f"form.fields is {_said(named)}; expected a table [form.fields] of our name = the form's name")
    for ours, theirs in named.items():
        form_field(ours)
        if not isinstance(theirs, str) or not theirs:
            raise InputError(
                f"form.fields.{_quoted(ours)} is {_said(theirs)}; expected the name of the form's field, in quotes"
            )
    return Form(url, style, dict(named))


def _groups(groups: Any) -> tuple[str, ...]:
    """The names of groups."""
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise InputError(f'groups is {_said(groups)}; expected a list of names, ["athena", "boreas"]')
    if not all(group.strip() for group in groups) or len(set(groups)) != len(groups):
        raise InputError("groups has an empty name or one twice; expected names that differ")
    return tuple(groups)


def _refuse_unknown(settings: dict[str, Any], known: list[str], above: str) -> None:
    """Refuse a key that is none of those known."""
    for name in settings:
        if name not in known:
            raise InputError(f"{_quoted(above + name)} is not known{nearest(name, known)}; expected {', '.join(known)}")


def _refuse_outside(name: str, key: str) -> None:
    """Refuse a path that leads out of the course's folder, on this system or another."""
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.anchor or ".." in path.parts:
            raise InputError(f"{key} is {_quoted(name)}; expected a path within the course's folder")


def _text(settings: dict[str, Any], name: str, above: str = "") -> str:
    """A setting that is text."""
    if not isinstance(settings[name], str):
        raise InputError(f"{above}{name} is {_said(settings[name])}; expected text in quotes")
    return settings[name]


def _said(value: Any) -> str:
    """A value of the wrong type, short enough for a line."""
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}..."


def _quoted(text: str) -> str:
    """Text in quotes, short enough for a line and without what would break it."""
    return f'"{repr(text if len(text) <= 60 else text[:57] + "...")[1:-1]}"'
