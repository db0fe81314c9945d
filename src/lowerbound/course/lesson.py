"""A lesson as its notebook sees it: its images, its checks, and a pen that writes down what the learner did.

    lesson = course.open_lesson("05", data="mnist")
    rsample = lesson.check("rsample", rsample)      # the learner's function if it passes, else the library's

Nothing that a lesson is asked to do raises: a check tells, a note that cannot be written is said once, so a notebook always runs
to its end. Nothing is sent anywhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowerbound.course import catalogue
from lowerbound.course.checking import check
from lowerbound.course.config import CourseConfig, read_config
from lowerbound.course.data import FAST_TEST, FAST_TRAIN, brief, fraction_of, load_images, suggested_k
from lowerbound.course.exercise import Exercise
from lowerbound.course.journal import Journal
from lowerbound.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

    from lowerbound.images import Images, ImageSet

__all__ = ["Lesson", "open_lesson"]

MARKS = {"passed": "✓", "to do": "…", "wrong": "✗"}


def open_lesson(number: str, data: str = "mnist", *, full: bool = False, folder: str | Path = ".") -> Lesson:
    """Open a lesson: load its images, and note that it was opened.

    Args:
        number: Of the lesson, such as "05".
        data: "mnist", "cifar10", "digits", "patches", or a folder of images.
        full: Whether all images and the long trainings are used: for a GPU, or a night.
        folder: Where the journal is kept, and ``course.toml`` lies if the course has one.

    Raises:
        InputError: No such data, or a broken ``course.toml``.
    """
    warnings.filterwarnings(
        "ignore", message="IProgress not found"
    )  # of a library: its bars are not what is shown here
    lesson = Lesson(number, load_images(data), full=full, folder=Path(folder))
    lesson.welcome()
    return lesson


class Lesson:
    """What a notebook calls.

    Args:
        number: Of the lesson, such as "05".
        images: Of the learner's choice.
        full: Whether all of them and the long trainings are used.
        folder: Where the journal is kept.
    """

    def __init__(self, number: str, images: ImageSet, *, full: bool = False, folder: Path = Path()) -> None:
        self.number, self.images, self.full, self.folder = number, images, full, folder
        self.config: CourseConfig = read_config(folder)
        own = {} if not self.config.checks else catalogue.outside(folder / self.config.checks)
        self.exercises: Mapping[str, Exercise] = {**catalogue.exercises(), **own}
        self._journal = Journal(folder)
        self._passed: dict[str, Any] = {}
        self._silent = False

    def welcome(self) -> None:
        """Say what there is, and note that the lesson was opened."""
        self._note("opened", self.number, {"data": self.images.name, "full": self.full})
        channels, height, width = self.image_shape
        part = "" if len(self.train) == len(self.images.train) else f"{len(self.train):,} of "
        tested = "" if len(self.test) == len(self.images.test) else f"{len(self.test):,} of "
        print(
            f"{self.images.name}: {part}{len(self.images.train):,} images to learn from, {tested}{len(self.images.test):,} to "
            f"test; {channels} x {height} x {width} values each, computed on {self.device}"
        )
        print(f"answers and times are kept in {self._journal.path} and sent nowhere")

    # the images, and how long things take

    @property
    def train(self) -> Images:
        """Images to learn from; in the fast mode a part of them."""
        return self.images.train if self.full else fraction_of(self.images.train, FAST_TRAIN)

    @property
    def test(self) -> Images:
        """Images that nothing is learned from."""
        return self.images.test if self.full else fraction_of(self.images.test, FAST_TEST)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.images.image_shape

    @property
    def suggested_k(self) -> int:
        """Numbers per image to begin with; fewer than images to learn from, or PCA has no more directions to give."""
        return max(1, min(suggested_k(self.image_shape), len(self.train) - 1))

    @property
    def filter_size(self) -> int:
        """Side of the filters of two valid convolutions: 5, or what leaves room on a small image."""
        return max(1, min(5, min(self.image_shape[1:]) // 4 + 1))

    @property
    def device(self) -> torch.device:
        """Where tensors are computed."""
        from lowerbound.devices import choose_device

        return choose_device()

    @property
    def only_tried(self) -> bool:
        """Whether the lesson is run to see that it runs, not to learn from: everything is as short as can be."""
        return brief()

    def epochs(self, fast: int, full: int) -> int:
        """Times to go through the images, fast or with the full recipe; few images are gone through more often.

        The numbers are for 10,000 images, and for all of a larger set: there fewer times can be more steps.
        """
        again = max(1, FAST_TRAIN // len(self.train))
        if self.full:
            fast = full if again == 1 else max(fast, full)
        return 1 if self.only_tried else again * fast

    def steps(self, fast: int, full: int) -> int:
        """Steps to take: fast, or with the full recipe."""
        return min(20, fast) if self.only_tried else full if self.full else fast

    def fast_start(self, model: torch.nn.Module, pixels: np.ndarray, latent_dim: int) -> None:
        """Start a network where PCA has brought us: offsets at the mean image, log_sigma at the spread of what PCA leaves.

        Args:
            model: Its parameters of an image's shape are offsets, the first of them to be taken off; ``log_sigma`` is set where
                there is one. All else stays random.
            pixels: uint8 ``[N, C, H, W]``.
            latent_dim: K of the PCA.
        """
        import torch

        from lowerbound.eigen import principal
        from lowerbound.pca import PCA

        pca = PCA(latent_dim).fit_spectrum(principal(pixels, latent_dim))
        mean = torch.from_numpy(pixels.mean(0) / 255).float()
        offsets = [p for p in model.parameters() if tuple(p.shape) == self.image_shape]
        with torch.no_grad():
            for number, offset in enumerate(offsets):
                offset.copy_(mean if number or len(offsets) == 1 else -mean)
            if hasattr(model, "log_sigma"):
                some = pixels[:2000]
                left = pca.inverse_transform(pca.transform(some)) - some / 255
                model.log_sigma.fill_(float((left**2).mean()) ** 0.5).log_()  # type: ignore[union-attr,operator]

    def show(self, figure: Figure) -> None:
        """Show a figure in the notebook."""
        import io

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        _display_png(buffer.getvalue())

    # exercises

    def check(self, name: str, answer: Any) -> Any:
        """Check an answer; the learner's own comes back if it passes, else the library's, so that all that follows runs.

        Args:
            name: Of the exercise.
            answer: The learner's function, class or number.
        """
        exercise = self._find(name)
        if exercise is None:
            return answer
        outcome = check(exercise, answer)
        self._note("check", name, {"outcome": outcome.kind, "case": outcome.case, "words": outcome.words})
        print(f"{MARKS[outcome.kind]} {outcome.words}")
        if outcome.kind == "passed":
            self._passed[name] = answer
            return answer
        print(f'  a hint: lesson.hint("{name}"); what follows uses the library\'s {name} until yours passes')
        return catalogue.reference(exercise, known=self.exercises)

    def piece(self, name: str) -> Any:
        """What an exercise of an earlier lesson asked for: the learner's own if it passed here, else the library's.

        Raises:
            InputError: There is no such exercise.
        """
        if name in self._passed:
            return self._passed[name]
        return catalogue.reference(catalogue.find(name, self.exercises), known=self.exercises)

    def hint(self, name: str) -> None:
        """Give the next hint of an exercise; after the last, say how the solution is shown."""
        exercise = self._find(name)
        if exercise is None:
            return
        number = self._hinted(name)
        if number < len(exercise.hints):
            self._note("hint", name, number + 1)
            print(f"hint {number + 1} of {len(exercise.hints)}: {exercise.hints[number]}")
        else:
            print(f'those were all hints; lesson.solution("{name}") shows a solution')

    def solution(self, name: str) -> None:
        """Show a solution, once all hints were given or the exercise has passed."""
        exercise = self._find(name)
        if exercise is None:
            return
        left = len(exercise.hints) - self._hinted(name)
        if name not in self._passed and left > 0:
            print(f'{left} hints are left: lesson.hint("{name}"); the solution comes after them')
            return
        self._note("solution", name, 1)
        print(catalogue.solution(exercise))

    def _hinted(self, name: str) -> int:
        """Hints that were given, in this kernel or an earlier one: the journal knows."""
        done = self._journal.read().attempts(self.number).get(name)
        return 0 if done is None else done.hints

    def _find(self, name: str) -> Exercise | None:
        """The exercise of a name; a name that is none is told, not raised."""
        try:
            return catalogue.find(name, self.exercises)
        except InputError as error:
            print(error)
            return None

    # what is written down

    def section(self, section: str) -> None:
        """Note the arrival at a section; the first one counts."""
        self._note("section", section, 1)

    def me(self, name: str, group: str) -> None:
        """Note who is learning."""
        self._note("me", "me", {"name": name, "group": group})

    def recap(self, text: str) -> None:
        """Note the upshot of the week before."""
        self._note("recap", "recap", text)

    def respond(self, question: str, text: str) -> None:
        """Note the answer to a question; an empty field is none."""
        self._note("response", question, text)

    def discuss(self, prompt: str, text: str) -> None:
        """Note what came of a discussion."""
        self._note("discuss", prompt, text)

    def feeling(self, section: str, score: str, note: str = "") -> None:
        """Note how a section felt."""
        self._note("feeling", section, {"score": score, "note": note})

    def feedback(self, better: str, group: str, feeling: str) -> None:
        """Note how the lesson could be better, how the group is, and how the learner feels now."""
        self._note("feedback", "feedback", {"better": better, "group": group, "feeling": feeling})

    def ran(self, model: str, k: int, *, test_mse: float | None = None, elbo: float | None = None) -> None:
        """Note a model that was trained, for the experiment of the class: every learner adds points to one curve.

        Args:
            model: "pca", "linear", "conv" or "vae".
            k: Numbers per image.
            test_mse: Mean squared error per pixel of the test images, pixels in [0, 1].
            elbo: Mean over test images, nats per image with all constants.
        """
        value = {"data": self.images.name, "model": model, "k": int(k), "full": self.full}
        numbers = {"test_mse": test_mse, "elbo": elbo}
        value |= {key: None if number is None else float(number) for key, number in numbers.items()}
        if not self.only_tried:
            self._note("ran", f"{self.images.name} {model} {k}", value)
        shown = [] if test_mse is None else [f"test MSE {test_mse:.5f} per pixel"]
        shown += [] if elbo is None else [f"ELBO {elbo:.1f} nats per image"]
        print(f"{model}, K = {k}: {', '.join(shown)}")

    def submit(self) -> None:
        """Write the hand-in, one JSON and one CSV; say where they are, and the form's address if the course has one."""
        from lowerbound.course.handin import submit

        try:
            done = submit(self.folder, self.config)
        except InputError as error:
            print(error)
            return
        print(f"written: {done.json} and {done.csv}; nothing was sent")
        for note in done.notes:
            print(note)
        if done.url:
            print(f"the course's form, with your answers filled in:\n{done.url}")

    def _note(self, kind: str, of: str, value: Any) -> None:
        """Write an entry; if that cannot be done, say so once and go on."""
        try:
            self._journal.add(self.number, kind, of, value)
        except InputError as error:
            if not self._silent:
                print(f"not noted: {error}")
            self._silent = True


def _display_png(png: bytes) -> None:
    """A picture in the notebook; nothing where there is none."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import Image, display
    except ImportError:
        return
    if get_ipython() is not None:
        display(Image(png))
