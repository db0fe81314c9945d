"""What every lesson begins and ends with, and the small cells between: written here once, so that no lesson forgets any.

Cells with fields are plain assignments with the comments that Colab makes forms of; elsewhere they are filled in between the
quotes. An untouched field is no answer: texts begin empty, choices with "not chosen". Colab shows a field's name beside it; a
lesson uses none of these names itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lowerbound.course.config import CourseConfig
from lowerbound.course.notebook import Cell, code, markdown

__all__ = [
    "FEELINGS",
    "FIELDS",
    "Head",
    "Part",
    "ask",
    "discuss",
    "feeling",
    "head",
    "minutes",
    "stamp",
    "tail",
    "video",
]

FEELINGS = ("a delight", "fine", "so-so", "hard going", "I am lost")
UNCHOSEN = "not chosen"
FIELDS = (
    *("your_name", "your_group", "your_upshot", "your_answer", "your_notes", "it_was", "in_words"),
    *("could_be_better", "your_group_is", "you_feel"),
)
_STRING = '#@param {type:"string"}'
_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"


@dataclass(frozen=True)
class Head:
    """The facts of a lesson, from the head of its source.

    Args:
        id: Such as "05".
        title: Without the number.
        goals: What the learner can do afterwards, a line each.
        references: A line each, for the end.
        form: The address of a form of this lesson's own; mostly none.
    """

    id: str
    title: str
    goals: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    form: str = ""


@dataclass(frozen=True)
class Part:
    """A section as the agenda lists it, with its estimate in minutes."""

    section: str
    title: str
    minutes: int


def head(facts: Head, parts: Sequence[Part], config: CourseConfig, path: str, *, solved: bool) -> list[Cell]:
    """The cells before the first section: what it is about, setting up, who is learning.

    Args:
        facts: The lesson.
        parts: Its sections.
        config: The course.
        path: Where this notebook lies in the course's repository, for the badge.
        solved: Whether this is the version with the solutions.

    Example:
        >>> cells = head(Head("05", "Codes"), [Part("1", "Spread", 8)], CourseConfig(), "05.ipynb", solved=False)
        >>> print(cells[0].source.splitlines()[0])
        # Lesson 5. Codes
    """
    lines = [f"# Lesson {facts.id.lstrip('0') or '0'}. {facts.title}{' (with solutions)' if solved else ''}", ""]
    if config.repo:
        place = f"{config.repo}/blob/{config.branch}/{path}"
        lines += [
            f"[![Open in Colab]({_BADGE})](https://colab.research.google.com/github/{place}) "
            f"[The same notebook on GitHub](https://github.com/{place})",
            "",
        ]
    if facts.goals:
        lines += ["**After this lesson you can**", "", *(f"- {goal}" for goal in facts.goals), ""]
    total = sum(part.minutes for part in parts)
    lines += ["**The plan**", "", "| | section | time |", "|---|---|---|"]
    lines += [
        f"| {part.section} | {part.title.replace('|', chr(92) + '|')} | {minutes(part.minutes)} |" for part in parts
    ]
    lines += [f"| | all together | {minutes(total)} |"]
    return [
        markdown("\n".join(lines)),
        markdown(
            "## Before we start\n\n"
            "Run the cells from top to bottom (Shift and Enter together). The next one gets everything ready, and "
            "chooses the images that you will work with: change the word after `data=` if you want others. In a group, let "
            "everybody take different images, so that you have something to compare.\n\n"
            + (
                "This version has every answer filled in."
                if solved
                else "Some cells have gaps for you to fill. Leave one open whenever you like: the check below it lends you a "
                "finished version, so that everything after it works all the same."
            )
        ),
        code(
            "try:\n"
            "    from lowerbound import course\n"
            "except ImportError:  # in Colab, or wherever it is not installed yet\n"
            "    %pip install -q lowerbound\n"
            "    from lowerbound import course\n\n"
            f'lesson = course.open_lesson({_quoted(facts.id)}, data="mnist")\n'
            '# or data="cifar10", "digits" (tiny, no download), or a folder of your own images such as "photos/"; '
            "full=True trains for longer"
        ),
        markdown(
            "### Who is here?\n\n"
            "So that your answers can be told from others' when you hand them in. All of it stays on this computer."
        ),
        _who(config),
        *_recap(config),
    ]


def _who(config: CourseConfig) -> Cell:
    """Name and group: the group is chosen where the course has groups, else written."""
    group = f'your_group = ""  {_STRING}'
    if config.groups:
        group = f'your_group = "{UNCHOSEN}"  #@param {_choices(config.groups)}'
    return code(
        f'#@title Your name and your group\nyour_name = ""  {_STRING}\n{group}\nlesson.me(your_name, your_group)'
    )


def _recap(config: CourseConfig) -> list[Cell]:
    """The question about the week before, if the course asks one."""
    if not config.recap:
        return []
    return [
        markdown(f"### Looking back at last time\n\n{config.recap}"),
        code(f'#@title What do you take from it?\nyour_upshot = ""  {_STRING}\nlesson.recap(your_upshot)'),
    ]


def stamp(section: str) -> Cell:
    """Notes the arrival at a section.

    Example:
        >>> stamp("2").source
        'lesson.section("2")'
    """
    return code(f"lesson.section({_quoted(section)})")


def ask(name: str) -> Cell:
    """A field for the answer to the question above it.

    Example:
        >>> print(ask("strict").source)
        #@title Your answer
        your_answer = ""  #@param {type:"string"}
        lesson.respond("strict", your_answer)
    """
    return code(f'#@title Your answer\nyour_answer = ""  {_STRING}\nlesson.respond({_quoted(name)}, your_answer)')


def discuss(name: str) -> Cell:
    """A field for what came of a discussion.

    Example:
        >>> print(discuss("halfway").source)
        #@title What your group came up with
        your_notes = ""  #@param {type:"string"}
        lesson.discuss("halfway", your_notes)
    """
    return code(
        f'#@title What your group came up with\nyour_notes = ""  {_STRING}\nlesson.discuss({_quoted(name)}, your_notes)'
    )


def feeling(section: str) -> Cell:
    """Fields for how a section felt.

    Example:
        >>> print(feeling("2").source)
        #@title How was this section for you?
        it_was = "not chosen"  #@param ["not chosen", "a delight", "fine", "so-so", "hard going", "I am lost"]
        in_words = ""  #@param {type:"string"}
        lesson.feeling("2", it_was, in_words)
    """
    return code(
        "#@title How was this section for you?\n"
        f'it_was = "{UNCHOSEN}"  #@param {_choices(FEELINGS)}\n'
        f'in_words = ""  {_STRING}\n'
        f"lesson.feeling({_quoted(section)}, it_was, in_words)"
    )


def tail(facts: Head) -> list[Cell]:
    """The cells after the last section: feedback, handing in, references.

    Example:
        >>> [cell.kind for cell in tail(Head("05", "Codes", references=("A book",)))]
        ['markdown', 'code', 'markdown', 'code', 'markdown']
    """
    own = f"\n\nThis lesson has a form of its own, too: <{facts.form}>" if facts.form else ""
    cells = [
        markdown("## Before you go\n\nThree short questions about the lesson as a whole; any of them may stay empty."),
        code(
            "#@title How could it be better? How is your group? How do you feel now?\n"
            f'could_be_better = ""  {_STRING}\n'
            f'your_group_is = ""  {_STRING}\n'
            f'you_feel = ""  {_STRING}\n'
            "lesson.feedback(could_be_better, your_group_is, you_feel)"
        ),
        markdown(
            "## Handing in\n\n"
            "The next cell collects your answers, notes and times in one file of JSON and one of CSV beside this notebook, "
            "and tells you where they are. Nothing is sent by itself: read the files, and pass them on if you want to."
            + own
        ),
        code("lesson.submit()"),
    ]
    if facts.references:
        cells.append(markdown("## References\n\n" + "\n".join(f"- {reference}" for reference in facts.references)))
    return cells


def minutes(number: int) -> str:
    """A number of minutes in words.

    Example:
        >>> minutes(1), minutes(8)
        ('1 minute', '8 minutes')
    """
    return f"{number} minute{'' if number == 1 else 's'}"


def video(name: str, title: str) -> str:
    """A line with a link to a video on YouTube.

    Example:
        >>> video("RgOF3XJL5vw", "Recognition")
        '▶ Video: [Recognition](https://www.youtube.com/watch?v=RgOF3XJL5vw) (may be skipped)'
    """
    return f"▶ Video: [{title or 'on YouTube'}](https://www.youtube.com/watch?v={name}) (may be skipped)"


def _quoted(text: str) -> str:
    """A text as Python writes it between double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _choices(choices: Sequence[str]) -> str:
    """A list that Colab makes a menu of; its first entry says that nothing was chosen."""
    return json.dumps([UNCHOSEN, *choices], ensure_ascii=False)
