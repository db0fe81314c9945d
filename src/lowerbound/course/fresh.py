"""A course of one's own to begin with: settings, a lesson, an exercise with its cases, and what to do with them.

What is written works as it is: it builds, its answer passes, and its typical wrong answer meets the hint meant for it.
"""

from __future__ import annotations

import json
from pathlib import Path

from lowerbound.errors import InputError
from lowerbound.whole import make_folder, write_whole

__all__ = ["new_course"]

_SETTINGS = """\
# The course's settings. Every line may be left out; those that begin with # are examples.

name = {name}

# A learner chooses one of these; without the line, the group is a free field.
# groups = ["athena", "boreas", "circe"]

# The question at the beginning of every lesson.
# recap = "Talk about last week for five minutes. What was clear, what was not?"

# Where the course lies on GitHub: notebooks get a badge that opens them in Colab.
# repo = "owner/name"
# branch = "main"

lessons = "lessons"    # the folder with the sources of lessons
checks = "checks.py"   # the exercises of this course

# A form on the web: a hand-in then comes with a link that fills it in. Nothing is sent before the learner presses its button.
# [form]
# url = "https://docs.google.com/forms/d/e/.../viewform"
# style = "google"     # or "airtable"
# [form.fields]        # our name = the form's name of the field
# name = "entry.111"
# "response:brightest" = "entry.222"
"""

_LESSON = '''\
# ---
# lesson:
#   id: "01"
#   title: Light and dark
#   goals:
#     - say what numbers an image is made of
#     - turn light into dark with one line
#   references:
#     - "A book or a paper worth reading, https://example.org"
# ---

# %% [markdown] section="1" title="Images are numbers" minutes=10
# An image is a block of numbers, one for every pixel and every colour: here from 0, which is black, to 1, which is white.
# Formulas may stand in the text: the negative of an image $x$ is $1 - x$.
#
# A section begins with a cell like this one. Its video, if it has one, is named beside the minutes: `video="..."` with the
# id that YouTube gives it, and `video_title="..."`.

# %%
from lowerbound import course, look
from torch import Tensor

# %%
images = course.floats(lesson.test.pixels[:8])
print(f"{len(images)} images of shape {tuple(images.shape[1:])}, from {images.min():.2f} to {images.max():.2f}")

# %% [markdown]
# **Your turn.** Make light dark, and dark light.


# %% exercise="negative"
def negative(images: Tensor) -> Tensor:
    """Images with light and dark exchanged; values lie in [0, 1] before and after."""
    # BEGIN SOLUTION
    #> return ...    # black, 0, is to become white, 1
    return 1 - images
    # END SOLUTION


# %%
negative = lesson.check("negative", negative)

# %%
figure = look.canvas(look.WIDTH, 2.5)
for axes, image in zip(figure.subplots(1, 2), (images[0], negative(images)[0]), strict=True):
    axes.imshow(image.permute(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
lesson.show(figure)

# %% [markdown] response="brightest"
# Which of the two is brighter on average, and how could you tell without looking?

# %% [markdown] section="2" title="Talking about it" minutes=5 discuss="what_next"
# What else could be done to an image with one line of arithmetic? Try two of your ideas in your group.
'''

_CHECKS = '''\
"""The exercises of this course: for each its cases, its hints, and the wrong answers that are typical of it."""

import torch
from lowerbound.course import Exercise, Wrong, expect
from torch import Tensor


def negative(images: Tensor) -> Tensor:
    """The right answer, the same as in the lesson: who has not finished goes on with it."""
    return 1 - images


def shape_stays(answer):
    """As many values out as in."""
    images = torch.rand(2, 3, 4, 5)
    shape = tuple(answer(images).shape)
    expect(shape == (2, 3, 4, 5), f"images of shape (2, 3, 4, 5) come out with shape {shape}; they should keep theirs")


def black_becomes_white(answer):
    """The darkest value becomes the lightest."""
    value = float(answer(torch.zeros(1, 1, 2, 2)).mean())
    expect(value == 1, f"black, 0, became {value:g}; it should be white, 1: what is 1 minus 0?")


def grey_in_between(answer):
    """A quarter becomes three quarters."""
    value = float(answer(torch.full((1, 1, 2, 2), 0.25)).mean())
    expect(value == 0.75, f"a pixel of 0.25 became {value:g}; it should be 0.75")


EXERCISES = [
    Exercise(
        name="negative",
        lesson="01",
        task="Exchange light and dark.",
        cases=(shape_stays, black_becomes_white, grey_in_between),
        hints=(
            "What should become of 0, of 1, and of what lies half way?",
            "A line through (0, 1) and (1, 0) does it.",
            "Take the images away from one.",
        ),
        wrong=(Wrong("only the sign is changed", "black_becomes_white", (("1 - images", "-images"),)),),
        answer=negative,
    ),
]
'''

_README = """\
# {name}

`lessons/` has a source for every lesson, `checks.py` the exercises, `course.toml` the settings. Writing a course takes

    pip install 'lowerbound[course]'

and taking it no more than `pip install lowerbound`. Five commands, in this folder:

    lowerbound course build                                      # notebooks/student and notebooks/solution, from lessons/
    lowerbound course build --check                              # are they what the lessons say?
    lowerbound course check notebooks/solution/01_first.ipynb    # do your answers pass your own cases?
    lowerbound course watch notebooks/student/01_first.ipynb     # what a learner sees: checks at every save
    lowerbound course report hand-ins                            # a page and a table over all that was handed in

Hand out the folder `notebooks/student` as it is: it has the settings and the checks that its notebooks need. What learners hand
in are the JSON files that the last cell of a notebook writes; put them into one folder for the report.

Lines between `# BEGIN SOLUTION` and `# END SOLUTION` stand in the solution alone, a line after `#>` in the student's notebook
alone, and `x = 2  # SOLUTION` becomes `x = ...`. An answer stands in the lesson and in `checks.py`: change both.
"""

_FILES = {"course.toml": _SETTINGS, "lessons/01_first.py": _LESSON, "checks.py": _CHECKS, "README.md": _README}


def new_course(folder: Path, name: str) -> list[Path]:
    """Write a course that builds and can be changed from there.

    Args:
        folder: Where it goes; what is there already stays as it is.
        name: The course's title.

    Returns:
        The files.

    Raises:
        InputError: The name is empty; one of the files is there already, and then none is written; or no right to write there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file.name for file in new_course(Path(folder, "mine"), "My course")]
        ['course.toml', '01_first.py', 'checks.py', 'README.md']
    """
    name = " ".join(name.split())
    if not name:
        raise InputError("the course has no name; expected its title; give one")
    there = [str(folder / file) for file in _FILES if (folder / file).exists() or (folder / file).is_symlink()]
    if there:
        raise InputError(f"{', '.join(there)} exists already; nothing was written; give another folder")
    names = {"course.toml": json.dumps(name, ensure_ascii=False), "README.md": name}
    written = []
    for file, text in _FILES.items():
        make_folder((folder / file).parent)
        write_whole(folder / file, text.replace("{name}", names.get(file, "")).encode())
        written.append(folder / file)
    return written
