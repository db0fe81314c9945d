"""A lesson never stops a notebook: it checks, helps step by step, writes down what was done, and says so once where it cannot."""

import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from lowerbound import course
from lowerbound.course.data import fraction_of, suggested_k
from lowerbound.course.journal import Journal
from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet

CHECKS = """
from lowerbound.course import Exercise, Wrong, expect

def positive(double):
    expect(double(2) == 4, f"twice 2 is 4; yours gives {double(2)}")

def double(x):
    return x + x

EXERCISES = [Exercise("double", "00", "Double a number.", (positive,), ("Add.", "x + x.", "return x + x"), (), answer=double)]
"""


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
    return ImageSet("noise", Images(pixels[:50]), Images(pixels[50:]))


@pytest.fixture
def lesson(tmp_path, images, monkeypatch):
    monkeypatch.delenv("LOWERBOUND_COURSE", raising=False)
    (tmp_path / "course.toml").write_text('checks = "checks.py"\n')
    (tmp_path / "checks.py").write_text(CHECKS)
    return course.Lesson("00", images, folder=tmp_path)


def entries(lesson, kind):
    return [(entry.id, entry.value) for entry in Journal(lesson.folder).read().entries if entry.kind == kind]


def test_the_learners_own_comes_back_if_it_passes_else_the_librarys(lesson, capsys):
    def triple(x):
        return 3 * x

    def mine(x):
        return 2 * x

    assert lesson.check("double", triple)(5) == 10
    assert "✗ twice 2 is 4; yours gives 6" in capsys.readouterr().out
    assert lesson.check("double", ...)(5) == 10
    assert lesson.check("double", mine) is mine
    assert lesson.piece("double") is mine
    assert [value["outcome"] for _, value in entries(lesson, "check")] == ["wrong", "to do", "passed"]
    assert lesson.check("dubble", mine) is mine
    assert 'did you mean "double"?' in capsys.readouterr().out


def test_an_earlier_piece_is_the_librarys_until_ones_own_passes(lesson):
    assert lesson.piece("double")(4) == 8
    with pytest.raises(InputError, match="there is no exercise"):
        lesson.piece("dubble")


def test_help_rises_and_the_solution_comes_last(lesson, capsys):
    lesson.solution("double")
    assert "3 hints are left" in capsys.readouterr().out
    for expected in ("hint 1 of 3: Add.", "hint 2 of 3: x + x.", "hint 3 of 3: return x + x", "those were all hints"):
        lesson.hint("double")
        assert expected in capsys.readouterr().out
    lesson.solution("double")
    assert "def double(x):\n    return x + x" in capsys.readouterr().out
    assert [value for _, value in entries(lesson, "hint")] == [1, 2, 3]
    lesson.hint("dubble")
    lesson.solution("dubble")


def test_the_solution_is_shown_to_who_has_one(lesson, capsys):
    lesson.check("double", lambda x: x + x)
    lesson.solution("double")
    assert "return x + x" in capsys.readouterr().out


def test_what_was_done_is_written_down_and_untouched_fields_are_not(lesson):
    lesson.welcome()
    lesson.section("1")
    lesson.me("", "not chosen")
    lesson.me("Ada", "wombats")
    lesson.recap("")
    lesson.recap("We met convolutions.")
    lesson.respond("same", "")
    lesson.respond("same", "They span one plane.")
    lesson.discuss("halfway", "Two digits at once.")
    lesson.feeling("1", "not chosen", "")
    lesson.feeling("1", "clear", "")
    lesson.feedback("", "", "")
    lesson.feedback("more pictures", "good", "tired")
    lesson.ran("conv", 8, test_mse=0.01)
    lesson.ran("vae", 8, test_mse=0.01, elbo=np.float32(3.5))
    kinds = [entry.kind for entry in Journal(lesson.folder).read().entries]
    assert kinds == ["opened", "section", "me", "recap", "response", "discuss", "feeling", "feedback", "ran", "ran"]
    assert entries(lesson, "ran")[1][1]["elbo"] == 3.5
    lesson.submit()
    assert list(lesson.folder.glob("handin-*.json"))


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not read-only there")
def test_what_cannot_be_written_is_said_once(lesson, capsys, monkeypatch):
    monkeypatch.setattr(Journal, "add", lambda *_: (_ for _ in ()).throw(InputError("no space is left")))
    lesson.section("1")
    lesson.section("2")
    assert capsys.readouterr().out.count("not noted: no space is left") == 1


def test_budgets_of_time(lesson, tmp_path, images, monkeypatch):
    again = 10_000 // len(lesson.train)  # as many steps with few images as with many
    assert again > 1
    assert (lesson.epochs(fast=4, full=20), lesson.steps(fast=300, full=4000)) == (4 * again, 300)
    assert not lesson.only_tried
    full = course.Lesson("00", images, full=True, folder=tmp_path)
    assert (full.epochs(fast=4, full=20), full.steps(fast=300, full=4000)) == (20 * again, 4000)
    monkeypatch.setenv("LOWERBOUND_COURSE", "brief")
    assert lesson.only_tried
    assert (lesson.epochs(fast=4, full=20), lesson.steps(fast=300, full=4000)) == (1, 20)


def test_a_part_of_the_images_is_the_same_each_time_and_from_all_over():
    numbered = Images(np.arange(100, dtype=np.uint8).reshape(-1, 1, 1, 1))
    part = fraction_of(numbered, 30).pixels.ravel()
    assert (part == fraction_of(numbered, 30).pixels.ravel()).all()
    assert len(set(part)) == 30
    assert part.max() > 70
    assert fraction_of(numbered, 100) is numbered


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 9, 13)])
def test_sizes_fit_any_image(shape, tmp_path):
    pixels = np.zeros((4, *shape), np.uint8)
    lesson = course.Lesson("00", ImageSet("any", Images(pixels), Images(pixels)), folder=tmp_path)
    assert 1 <= suggested_k(shape) <= np.prod(shape)
    assert lesson.filter_size == 5 if min(shape[1:]) >= 16 else lesson.filter_size >= 1
    assert min(shape[1:]) - 2 * (lesson.filter_size - 1) >= 1


def test_the_fast_start_puts_offsets_at_the_mean_and_sigma_at_what_pca_leaves(lesson, images):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inwards = nn.Parameter(torch.zeros(1, 8, 8))
            self.weight = nn.Parameter(torch.ones(3))
            self.outwards = nn.Parameter(torch.zeros(1, 8, 8))
            self.log_sigma = nn.Parameter(torch.zeros(()))

    model, pixels = Net(), images.train.pixels
    lesson.fast_start(model, pixels, 4)
    mean = torch.from_numpy(pixels.mean(0) / 255).float()
    torch.testing.assert_close(model.outwards.detach(), mean)
    torch.testing.assert_close(model.inwards.detach(), -mean)
    flat = (pixels.reshape(50, -1) / 255).astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(flat.T, ddof=0))
    assert model.log_sigma.exp().item() == pytest.approx(np.sqrt(values[:-4].sum() / 64), rel=1e-4)
    assert (model.weight == 1).all()


def test_tracking_gives_everything_and_tells_the_time_left(capsys, monkeypatch):
    from lowerbound.course import data

    clock = iter(np.arange(0, 1000, 1.5))
    monkeypatch.setattr(data, "time", types.SimpleNamespace(monotonic=lambda: float(next(clock))))
    assert list(course.track(range(4), "training")) == [0, 1, 2, 3]
    said = capsys.readouterr().out
    assert "training: 2 of 4, 4 s left" in said
    assert "done" in said
