# ---
# lesson:
#   id: "10"
#   title: How many dimensions?
#   goals:
#     - read a spectrum of eigenvalues as shares of variance, and find the K that a share asks for
#     - compare the spectra of different images, and say what the comparison can and cannot tell
#     - judge by eye and by a classifier from which K on reconstructions are recognised
#     - make the percentage of variance say what you like, and so know why it is a rough guide
#     - choose K for images of your own with one command
#   references:
#     - "Jolliffe, 2002, Principal component analysis, https://doi.org/10.1007/b98835"
#     - "Tipping & Bishop, 1999, Probabilistic principal component analysis, https://doi.org/10.1111/1467-9868.00196"
#     - "Minka, 2000, Automatic choice of dimensionality for PCA, https://tminka.github.io/papers/pca/"
#     - "Horn, 1965, A rationale and test for the number of factors in factor analysis, https://doi.org/10.1007/BF02289447"
#     - "Dalal & Triggs, 2005, Histograms of oriented gradients for human detection, https://doi.org/10.1109/CVPR.2005.177"
#     - "Ruderman & Bialek, 1994, Statistics of natural images: scaling in the woods, https://doi.org/10.1103/PhysRevLett.73.814"
# ---

# %% [markdown] section="1" title="A spectrum of three numbers" minutes=6
# Since lesson 1 you have chosen $K$, how many numbers stand for an image, and mostly because somebody said "try 20". This lesson asks what a
# reason would look like. The usual one is *variance*, so let us first be exact about it.
#
# PCA looks for the direction in which images differ most, then for the one that differs most among those at right angles to it, and so on. Each
# direction is an eigenvector of the pixels' covariance, and its *eigenvalue* $\lambda_k$ is the variance of the images along it. All of them,
# largest first, are the **eigenspectrum**. Their sum is the total variance: what you get by adding up the variances of all pixels, one by one.
# Keep the first $K$ directions, and the share of variance that you keep is
#
# $$\text{explained}(K)=\frac{\lambda_1+\dots+\lambda_K}{\lambda_1+\dots+\lambda_P},$$
#
# where $P$ is the number of values per image. What is lost is exactly PCA's mean squared error: $P\cdot\text{MSE}=\lambda_{K+1}+\dots+\lambda_P$.
#
# A toy: data of three numbers each whose covariance has eigenvalues $3, 2, 1$. The total is 6. The first component has $3/6=50\,\%$ of it; the first
# two have $5/6=83.3\,\%$; all three everything.
#
# ### Exercise: explained variance
# Write it for any spectrum. The answer begins with 0, so that entry $K$ belongs to $K$. Eigenvalues may come in any order (PyTorch's `eigh`
# gives the smallest first).

# %%
import numpy as np
import torch
from torch import Tensor

from lowerbound import course, dimension_curves, downloads, look, sources
from lowerbound.dimensions import choose
from lowerbound.images import ImageSet
from lowerbound.legibility import truncated
from lowerbound.pca import PCA
from lowerbound.progress import terminal
from lowerbound.published import DATASETS


# %% exercise="explained_variance"
def explained_variance(eigenvalues: Tensor) -> Tensor:
    """The share of the total variance in the first 0, 1, 2 ... P components: eigenvalues ``[P]`` -> ``[P + 1]``."""
    nothing = torch.zeros(1, dtype=eigenvalues.dtype)
    # BEGIN SOLUTION
    #> largest_first = ...
    #> shares = ...     # in the first 1, 2 ... P components
    largest_first = eigenvalues.sort(descending=True).values
    shares = largest_first.cumsum(dim=0) / eigenvalues.sum()
    # END SOLUTION
    return torch.cat([nothing, shares])


# %%
explained_variance = lesson.check("explained_variance", explained_variance)


# %%
@look.drawn
def toy_picture(eigenvalues, explained):
    """Three eigenvalues, and what they add up to."""
    figure = look.canvas(look.WIDTH, 3.0)
    left, right = figure.subplots(1, 2)
    ks = range(1, len(eigenvalues) + 1)
    left.bar(ks, eigenvalues, width=0.6, color=look.RECONSTRUCTION)
    left.set(xlabel="component", ylabel="variance along it", xticks=list(ks))
    left.set_title("eigenvalues", fontsize="medium")
    right.plot(range(len(explained)), 100 * explained, "-o", color=look.RECONSTRUCTION)
    for k, share in enumerate(explained[1:], start=1):
        right.annotate(f"{100 * share:.1f} %", (k, 100 * share), xytext=(-6, 7), textcoords="offset points", ha="right")
    right.set(xlabel="components kept, K", ylabel="variance explained, %", xticks=range(len(explained)), ylim=(0, 115))
    right.set_title("added up, as a share of all", fontsize="medium")
    return figure


toy = torch.tensor([3.0, 2.0, 1.0])
lesson.show(toy_picture(toy.numpy(), explained_variance(toy).numpy()))

# %% [markdown] section="2" title="Spectra of real images" minutes=8
# Now images: your own, and beside them one set of digits and one of colour pictures, so that you can compare. MNIST has $P=28\cdot28=784$ values per
# image, CIFAR-10 has $3\cdot32\cdot32=3{,}072$. Where these two do not lie on your computer, smaller ones that came with the installation stand in (digits of
# $8\cdot8$; patches cut from two photographs): nothing is downloaded here. If you can, get both (`lowerbound data get mnist cifar10`), for the comparison is the point.


# %%
def lies_here(name):
    """Whether a known set of images is on this computer already."""
    if not sources.SOURCES[name].download:
        return True
    folders = [downloads.data_folder() / place for place in DATASETS[name].folders]
    packed = [
        any((folder / form).is_file() for folder in folders for form in (file.download, file.name))
        for file in DATASETS[name].files
    ]
    unpacked = name == "cifar10" and any(
        (folder / "cifar-10-batches-bin" / "test_batch.bin").is_file() for folder in folders
    )
    return all(packed) or unpacked


def spectrum_of(images, most):
    """PCA with as many components as there can be, from at most so many images."""
    pixels = images.pixels[np.sort(np.random.default_rng(0).permutation(len(images))[:most])]
    return PCA(min(len(pixels) - 1, pixels[0].size)).fit(pixels, terminal)


most = 12 * lesson.steps(fast=400, full=4000)  # images that a spectrum is taken from
own = lesson.images.name
train, test, spectra = {own: lesson.train}, {own: lesson.test}, {}
for wanted, instead in (("mnist", "digits"), ("cifar10", "patches")):
    name = wanted if lies_here(wanted) else instead
    if name not in (own, *train) and lesson.image_shape != sources.SOURCES[name].image_shape:
        other = sources.load(name, progress=terminal)
        train[name], test[name] = other.train, other.test
for name, images in train.items():
    spectra[name] = spectrum_of(images, most)
    print(f"{name:>10}: {spectra[name].mean.size:,} values per image, spectrum of {min(most, len(images)):,} images")

# %% [markdown]
# ### Exercise: the K for a share
# The other way round: given a share, such as 0.8, the *smallest* $K$ that explains at least that much.


# %% exercise="numbers_for"
def numbers_for(fraction: float, eigenvalues: Tensor) -> int:
    """The smallest K whose leading components have at least a fraction of the variance."""
    # BEGIN SOLUTION
    #> enough = ...     # for each K from 0: is the share there at least the fraction? (mind rounding)
    #> return ...
    enough = explained_variance(eigenvalues) >= fraction - 1e-9
    return int(enough.nonzero()[0])
    # END SOLUTION


# %%
numbers_for = lesson.check("numbers_for", numbers_for)


# %%
@look.drawn
def spectra_picture(curves, shares):
    """Variance explained against K, up to 200 on an even axis and all on a logarithmic one."""
    figure = look.canvas(look.WIDTH, 3.7)
    axes = figure.subplots(1, 2, sharey=True)
    colours = (look.RECONSTRUCTION, look.KL, "#333333")
    for (name, curve), colour, marker in zip(curves.items(), colours, "osD", strict=False):
        ks = np.arange(len(curve))
        label = f"{look.one_line(name, 20)}, P = {spectra[name].mean.size:,}"
        axes[0].plot(ks[:201], 100 * curve[:201], color=colour, label=label)
        axes[1].plot(ks[1:], 100 * curve[1:], color=colour)
        for share in shares:
            k = numbers_for(share, torch.from_numpy(np.diff(curve)))
            axes[1].plot(max(k, 1), 100 * curve[max(k, 1)], marker, color=colour, markersize=6, markeredgecolor="white")
    for place in axes:
        for share in shares:
            place.axhline(100 * share, color=look.QUIET, linewidth=0.7, linestyle=":")
    axes[0].set(xlabel="components K", ylabel="variance explained, %", ylim=(0, 103), xlim=(0, None))
    axes[1].set(xlabel="components K, logarithmic", xscale="log", xlim=(0.9, None))
    axes[1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes[0].legend(loc="lower right", fontsize="small")
    return figure


SHARES = (0.5, 0.8, 0.99)
curves = {}
for name, pca in spectra.items():
    eigenvalues = torch.from_numpy(pca.variances)
    curves[name] = explained_variance(eigenvalues).numpy()
    ks = [numbers_for(share, eigenvalues) for share in SHARES]
    print(
        f"{name:>10}: "
        + ", ".join(f"{share:.0%} of the variance in {k:,}" for share, k in zip(SHARES, ks, strict=True))
    )
lesson.show(spectra_picture(curves, SHARES))

# %% [markdown] discuss="higher_dimensional"
# Compare the curves, best within a group where some have MNIST and some CIFAR-10. From these curves alone: which images are "higher-dimensional"? Does your
# answer depend on whether you look at 50 %, at 80 % or at 99 %? And is it what you would have said from looking at the images?

# %% [markdown] section="3" title="What 50, 80 and 99 per cent look like" minutes=8
# A share of variance is a promise about squared error. Whether one can still *tell what an image shows* is another matter, so look. Below, for each set, the
# same eight test images from the $K$ components that explain 50, 80 and 99 % of the variance. **Cover the originals with your hand first.**


# %%
def some_of(images, number=8):
    """A few images, of different classes where there are classes."""
    order = np.random.default_rng(3).permutation(len(images))
    if images.labels is not None:
        _, first = np.unique(images.labels[order], return_index=True)
        order = np.concatenate([order[np.sort(first)], np.delete(order, first)])
    return images.pixels[order[:number]]


def side_by_side(images):
    """Images [n, C, H, W] as one wide picture, white between them."""
    return np.concatenate([np.pad(i, ((0, 0), (0, 0), (0, 2)), constant_values=1.0) for i in images], axis=2).transpose(
        1, 2, 0
    )


@look.drawn
def strips(rows_of, originals):
    """For each set of images a block: a row for every K, and the originals at the bottom."""
    rows = sum(len(rows) + 1 for rows in rows_of.values())
    figure = look.canvas(look.WIDTH, 0.3 * len(rows_of) + 0.8 * rows)
    heights = [0.3 + 0.82 * (len(rows) + 1) for rows in rows_of.values()]
    blocks = np.atleast_1d(np.asarray(figure.subfigures(len(rows_of), 1, height_ratios=heights), dtype=object))
    for block, (name, rows) in zip(blocks, rows_of.items(), strict=True):
        block.suptitle(look.one_line(name, 40), x=0.02, ha="left", weight="bold", fontsize="medium")
        shown = {**rows, "originals": originals[name]}
        for axes, (words, images) in zip(block.subplots(len(shown), 1), shown.items(), strict=True):
            axes.imshow(side_by_side(np.clip(images, 0, 1)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            axes.set_ylabel(words, rotation=0, ha="right", va="center", fontsize="small")
    return figure


rows_of, originals = {}, {}
for name, pca in spectra.items():
    few = some_of(test[name])
    ks = [max(1, numbers_for(share, torch.from_numpy(pca.variances))) for share in SHARES]
    words = [f"{share:.0%}: K = {k:,}" for share, k in zip(SHARES, ks, strict=True)]
    rows_of[name] = dict(zip(words, truncated(pca, few, ks), strict=True))
    originals[name] = few / 255
lesson.show(strips(rows_of, originals))

# %% [markdown] response="recognisable"
# For each set: how recognisable are the images at about 50 %, at 80 %, at 99 % of the variance? Write one line for every set, before you read on.

# %% [markdown]
# Most people find the same: at 50 % a digit is a guess, at 80 % nearly every digit is read; of photographs, 80 % of the variance is a coloured fog, a few
# smooth blobs of light, and it takes about 90 % before there is an animal in it. **The same percentage, quite different worth.** The photographs' curve rises
# *faster* than the digits', and yet they need *more* numbers.

# %% [markdown] section="4" title="The smallest K at which you know what it is" minutes=6
# Forget percentages, then, and ask directly: with how many numbers do you recognise it? Go through the rows from the top and stop at the first in which
# you could name most images.

# %%
ladder = [1, 3, 7, 15, 30, 80, 200]
rows_of = {}
for name, pca in spectra.items():
    few = some_of(test[name])
    ks = [k for k in ladder if k <= pca.latent_dim]
    shares = explained_variance(torch.from_numpy(pca.variances))
    words = [f"K = {k} ({float(shares[k]):.0%})" for k in ks]
    rows_of[name] = dict(zip(words, truncated(pca, few, ks), strict=True))
lesson.show(strips(rows_of, originals))

# %% [markdown] response="smallest_k"
# What is the smallest $K$ at which *you* recognise most of them, for each set? Which percentage of the variance is that?

# %% [markdown]
# A usual verdict: on MNIST about $K=15$ will do, well under two thirds of the variance. On CIFAR-10 hardly anything is recognised before about $K=80$, which is
# nearly nine tenths. If your numbers differ, good: write them down, and compare with your group. That is data, too.
#
# A person's eye cannot go through ten thousand images, so lowerbound asks two classifiers. Both learn from *original* images only; then they are shown reconstructions. One
# looks at all pixels, the other at outlines (where edges run in which direction). The *agreement* is the fraction of reconstructions that a classifier names as it names
# their originals. It needs labels; without them there is a word in its place, and the figure shows the rest.

# %%
found = choose(ImageSet(own, lesson.train, lesson.test, lesson.images.class_names), progress=terminal)
read = found.legibility
readers = [] if read is None else read.readers
if read is None:
    print(f"recognition is not tested here: {found.unread}")
few = some_of(lesson.test, 6)
ks = sorted({k for k in found.share_ks.values() if k} or {1})
captions = [f"K = {k:,}\n{found.explained[k]:.0%} of variance" for k in ks]
shown = dimension_curves.Shown(
    own,
    found.explained,
    {"parallel analysis": found.parallel, "evidence (Minka)": found.minka, "held-out likelihood": found.held_out.best},
    [] if read is None else read.ks,
    {f"a classifier of {r.name}": np.array([each.mean for each in r.agreement]) for r in readers},
    {f"a classifier of {r.name}": np.array([each.standard_error for each in r.agreement]) for r in readers},
    {**dict(zip(captions, truncated(found.pca, few, ks), strict=True)), "originals\n": few / 255},
)
lesson.show(dimension_curves.choosing([shown]))

# %% [markdown] section="5" title="Why a percentage of variance misleads" minutes=8
# Three small experiments on images that *you* know. Each changes what variance says and leaves alone what the images show, or the other way round.
#
# **1. A lamp.** We light every image from one side, some more, some less. Nothing about what is shown has changed.
#
# **2. Grain.** We add a little independent noise to every pixel, as a camera does at night. You will hardly see it.
#
# **3. A moving spot.** A bright spot runs round a circle. *One* number, the angle, says everything about such an image.
#
# For the first two we make your images small and grey, so that each spectrum takes a moment.


# %%
def small_and_grey(pixels):
    """Images [N, C, H, W] as grey ones of at most 28 pixels a side, in [0, 1]."""
    step = max(1, -(-max(pixels.shape[2:]) // 28))
    return course.floats(pixels).mean(dim=1)[:, ::step, ::step]


def eigenvalues_of(images):
    """All eigenvalues of the covariance of images [N, H, W]: the whole of PCA's spectrum in two lines."""
    flat = images.flatten(start_dim=1).double()
    return torch.linalg.eigvalsh(torch.cov(flat.T)).clamp(min=0)


torch.manual_seed(0)
plain = small_and_grey(lesson.train.pixels[:3000])
_, height, width = plain.shape
lamp = torch.rand(len(plain), 1, 1) * torch.linspace(0, 1, width)
lit = 0.3 * plain + 0.7 * lamp
grainy = plain + 0.1 * torch.randn(plain.shape)

angle = torch.linspace(0, 2 * torch.pi, 721)[:-1]
rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
down, across = 13.5 + 8 * torch.sin(angle), 13.5 + 8 * torch.cos(angle)
spot = torch.exp(-((rows - down[:, None, None]) ** 2 + (columns - across[:, None, None]) ** 2) / (2 * 1.5**2))

experiments = {"as they are": plain, "with a lamp": lit, "with grain": grainy, "a moving spot": spot}
asked = {
    words: [numbers_for(share, eigenvalues_of(images)) for share in (0.5, 0.8, 0.99)]
    for words, images in experiments.items()
}
for words, ks in asked.items():
    print(
        f"{words:>15}: 50 % in K = {ks[0]:>4}, 80 % in K = {ks[1]:>4}, 99 % in K = {ks[2]:>4}, of {experiments[words][0].numel()}"
    )


# %%
@look.drawn
def three_experiments(experiments, asked):
    """Four images of each kind, and the K for 50, 80 and 99 % of the variance."""
    figure = look.canvas(look.WIDTH, 4.6)
    grid = figure.add_gridspec(len(experiments), 2, width_ratios=(1.3, 1))
    colours = ("#9ecae1", "#4292c6", "#08519c")
    most = max(max(ks) for ks in asked.values())
    for row, (words, images) in enumerate(experiments.items()):
        picture = figure.add_subplot(grid[row, 0])
        every = range(0, len(images), max(1, len(images) // 6))
        strip = torch.cat([torch.nn.functional.pad(images[i], (0, 1), value=1.0) for i in list(every)[:6]], dim=1)
        picture.imshow(strip, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        picture.set_xticks([])
        picture.set_yticks([])
        picture.spines[:].set_visible(False)
        picture.set_ylabel(words.replace(" a ", "\na "), rotation=0, ha="right", va="center", fontsize="small")
        bars = figure.add_subplot(grid[row, 1])
        for place, (k, colour) in enumerate(zip(asked[words], colours, strict=True)):
            bars.barh(place, k, color=colour, height=0.8)
            bars.text(1.08 * max(k, 1), place, f"{k}", va="center", fontsize="small")
        bars.set(xscale="log", xlim=(0.8, 2.5 * most), ylim=(2.6, -0.6))
        bars.set_yticks(range(3), ["50 %", "80 %", "99 %"], fontsize="small")
        bars.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        bars.tick_params(labelbottom=row == len(experiments) - 1)
        bars.grid(visible=False, axis="y")
    figure.axes[-1].set_xlabel("components K for that share of variance")
    return figure


lesson.show(three_experiments(experiments, asked))

# %% [markdown]
# - **The lamp** takes over the first component, and most of the variance with it. A $K$ that keeps half of the variance now keeps the light and little else. Variance counts *contrast times area*, and
#   light falls on many pixels at once. Much of CIFAR-10's variance is of this kind: sky above ground, bright or dark pictures, a colour cast. That is why its curve rises so
#   fast and says so little about cats. (Natural images have this by their nature: variance falls with spatial frequency, whatever is shown; Ruderman & Bialek, 1994.)
# - **Grain** spreads the same small variance over *all* directions, so the last per cents become expensive. "99 %" then asks for components that hold noise.
# - **The spot** has one number in it, and PCA asks for many. PCA draws straight lines (planes), and moving is not a straight line in pixel space: half way between two
#   places there are two faint spots, not one in the middle. A *nonlinear* decoder could do with one or two numbers. So PCA's count is an estimate of dimension under the assumption
#   that images lie near a plane. That is what the convolutional models of this course improve upon: the same error from fewer numbers.
#
# The eigenspectrum is a rough, linear view. It is quick, it is exact about squared error, and it is silent about meaning.

# %% [markdown] response="misleading"
# Somebody writes: "We kept 95 % of the variance, so hardly anything is lost." Ask two questions that this person should be able to answer.

# %% [markdown] section="6" title="The tool that does all this" minutes=4
# You have built most of what `lowerbound choose-k` does. In a terminal, for any images,
#
#     lowerbound choose-k mnist cifar10
#     lowerbound choose-k photos/ --size 32
#
# writes the figure above for up to three sets at once. It puts four answers side by side, because there are four questions:
#
# | question | answer |
# |---|---|
# | how little is lost in squared error? | the share of variance |
# | which directions are more than chance? | parallel analysis (Horn): eigenvalues above those of images whose pixels were shuffled |
# | which $K$ describes the images best, *if they were Gaussian*? | probabilistic PCA: evidence (Minka), likelihood of held-out images |
# | from where on is it recognised? | the classifiers |

# %%
k, why = found.recommendation()
print(why)
print(f"squared error: 80 % of the variance at K = {found.share_ks[0.8]}")
print(
    f"more than chance: K = {found.parallel}; best Gaussian: K = {found.minka} (evidence), {found.held_out.best} (held-out images)"
)

# %% [markdown]
# The third row usually asks for far more than the others: with many images even faint directions are *real*, though nobody would miss them. No row is "the" answer. What do you want the
# numbers for? To store images, to recognise them, to generate new ones? A VAE answers in its own way: give it more dimensions than it needs, and it leaves some of them at the
# prior, at a KL of 0 (lesson 8).

# %% [markdown] discuss="your_k"
# Which $K$ did each of you choose in lesson 1, and why? Put the class's curves of error against $K$ beside this lesson's. Would you choose again?
