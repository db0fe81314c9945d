# ---
# lesson:
#   id: "00"
#   title: Images, and why most of them have no labels
#   goals:
#     - "tell supervised, unsupervised and semi-supervised learning apart, and say why labels are the exception"
#     - "load a set of images, and know what the arrays hold"
#     - "look before you learn: samples, range of values, mean and spread"
#     - "see what images without labels add to a few with labels"
#     - "choose your images, and share out the work in a group"
#   references:
#     - "Deng and others, 2009, ImageNet: a large-scale hierarchical image database, https://doi.org/10.1109/CVPR.2009.5206848"
#     - "LeCun, Bottou, Bengio & Haffner, 1998, Gradient-based learning applied to document recognition (MNIST), https://doi.org/10.1109/5.726791"
#     - "Krizhevsky, 2009, Learning multiple layers of features from tiny images (CIFAR-10), https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf"
#     - "Chapelle, Schölkopf & Zien (editors), 2006, Semi-supervised learning, MIT Press, https://doi.org/10.7551/mitpress/9780262033589.001.0001"
#     - "Lloyd, 1982, Least squares quantization in PCM (k-means), https://doi.org/10.1109/TIT.1982.1056489"
# ---
# %% [markdown] section="1" title="Three ways to learn" minutes=6 video="Vw9MLfb4bi4" video_title="Datasets"
# This course is about learning from images that nobody has described. It takes about twelve lessons from the oldest
# way to do that, principal components, to a model that draws images of its own, the variational autoencoder. Nothing
# is assumed but some Python, some PyTorch, and that you have trained a network before. (A [video
# recap](https://www.youtube.com/watch?v=VHhtye5SwY0) of what usually comes before may be of use if that was a while
# ago.)
#
# There are three situations that a learner, human or machine, can be in.
#
# - **Supervised.** Every example comes with the right answer: this image is a 7, that one a truck. The task is to
#   give the answer for new examples. Written as probabilities, we are after $p(y \mid \mathbf{x})$, of a label $y$
#   given an image $\mathbf{x}$.
# - **Unsupervised.** There are only examples. The task is to find out what they are like: which ones are possible,
#   how they vary, what few numbers would describe them. That is $p(\mathbf{x})$, the probability of the image itself.
# - **Semi-supervised.** Many examples, and labels for a few of them. The hope is that knowing how images vary makes
#   the few labels go further.
#
# Labels are the exception. Someone has to make each one: tens of thousands of people were paid for years to label
# ImageNet, and a label of an X-ray takes an expert. Images without labels cost next to nothing. And even where there
# are labels, they say little: compare how much there is to learn from.
# %%
import math

import numpy as np

from lowerbound import course, figures, load, look

classes = len(lesson.images.class_names)
values = math.prod(lesson.image_shape)
print(f"an image has {values:,} values of 8 bits: {8 * values:,} bits")
if classes > 1:
    print(f"a label that is one of {classes} has at most log2({classes}) = {math.log2(classes):.1f} bits")
else:
    print("these images have no labels; one of ten classes would be at most log2(10) = 3.3 bits")
# %% [markdown]
# Not every bit of an image is worth knowing, of course. Neighbouring pixels repeat each other, and some of it is
# noise. But that, too, is for us to find out: *what is worth knowing about an image?* is the question of this course,
# and labels are used only to look at the answers.
#
# Why images? What you will learn holds as well for sounds, texts, molecules, or the activity of nerve cells. Images
# are where most of it was invented, and they have one great advantage: when a model has understood something, or has
# not, you can see it.
# %% [markdown] response="without_labels"
# **Your answer, please.** Think of data that you know, from your work or your life, of which there is plenty without
# labels. What would it cost to label a thousand examples? What might be learned from them without?
# %% [markdown] section="2" title="Getting set up" minutes=4
# The first cell of each lesson has one line that matters, `lesson = course.open_lesson(...)`. It loads the images
# that `data=` names: from this computer if they are there, else by a download, once. Everything in the course works
# with any of these:
#
# | `data=` | what it is | each image |
# |---|---|---|
# | `"mnist"` | 70,000 handwritten digits | 1 x 28 x 28, grey |
# | `"cifar10"` | 60,000 photographs of animals and vehicles, in ten classes | 3 x 32 x 32, colour |
# | `"fashion_mnist"` | 70,000 pieces of clothing | 1 x 28 x 28, grey |
# | `"digits"` | 1,797 tiny digits, come with the package: no download, for a quick try | 1 x 8 x 8, grey |
# | `"patches"` | pieces of two photographs, come with the package | 3 x 32 x 32, colour |
# | `"photos/"` | a folder of your own image files; a folder within it for each class gives labels, and none is needed | brought to one size |
#
# Whatever you chose is split in two: **training images**, which models learn from, and **test images**, which they do
# not see until they are judged. To save your time, lessons use at most 10,000 and 2,000 of them unless you say
# `full=True`.
# %%
for choice in lesson.images.choices:
    print("-", choice)
for part, images in (("train", lesson.train), ("test", lesson.test)):
    labels = "no labels" if images.labels is None else f"labels {images.labels.shape}"
    print(f"lesson.{part}: pixels {images.pixels.shape} of {images.pixels.dtype}, {labels}")
# %% [markdown]
# Pixels are kept as *bytes*, whole numbers from 0 to 255, in arrays `[N, C, H, W]`: which image, which channel (one
# for grey; red, green and blue), which row, which column. Models calculate with fractions in $[0, 1]$ instead, and
# get a **batch** of images at a time. Two helpers turn one into the other:
# %%
few = course.floats(lesson.train.pixels[:5])  # all at once
print("course.floats: ", tuple(few.shape), few.dtype, f"from {few.min():.3g} to {few.max():.3g}")
for batch in course.batches(lesson.train.pixels[:600], 250):  # in batches, shuffled; the last one takes what is left
    print("course.batches:", tuple(batch.shape))
# %% [markdown] section="3" title="Look before you learn" minutes=10
# Always look at the data first. Half of the surprises in machine learning are in the data, and are seen in a minute:
# images upside down, colours swapped, a class that is missing, pixels between 0 and 255 where you thought they were
# between 0 and 1. So, first, some images as they come:
# %%
rng = np.random.default_rng(0)
some = lesson.train[np.sort(rng.choice(len(lesson.train), min(20, len(lesson.train)), replace=False))]
lesson.show(figures.samples_of(some.pixels, some.labels, lesson.images.class_names, title=f"{lesson.images.name}, at random"))
# %% [markdown]
# Now sorted: a column for each class, to see what the members of a class have in common, and how different they can
# be.
# %%
def by_class(images, each: int, most: int = 10):
    """Some images of each class, class by class in turn; as they come where there are no labels."""
    if images.labels is None:
        return images[: each * most]
    shown = np.unique(images.labels)[:most]
    places = [np.flatnonzero(images.labels == label)[:each] for label in shown]
    rows = [[places[column][row] for column in range(len(shown)) if row < len(places[column])] for row in range(each)]
    return images[np.array([place for row in rows for place in row])]


columns = 10 if lesson.train.labels is None else min(10, len(np.unique(lesson.train.labels)))
chosen = by_class(lesson.train, 4)
lesson.show(figures.samples_of(chosen.pixels, chosen.labels, lesson.images.class_names, columns=columns))
if chosen.labels is None:
    print("these images have no labels, so they stand here as they come")
# %% [markdown]
# Next, the numbers. In what **range** are the values? A model whose output is squeezed between 0 and 1 can never draw
# an image with values up to 255, and one that was told that pixels spread by 0.3 is lost where they spread by 80.
#
# Write a function that says it: the lowest and the highest value that occur, in units of $[0, 1]$.
# %% exercise="value_range"
def value_range(pixels: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value of images uint8 [N, C, H, W], in units of [0, 1]."""
    # BEGIN SOLUTION
    #> return the lowest and the highest value, 255 being 1.0
    return float(pixels.min() / 255), float(pixels.max() / 255)
    # END SOLUTION
# %%
value_range = lesson.check("value_range", value_range)
# %%
low, high = value_range(lesson.train.pixels)
print(f"{lesson.images.name} has {len(lesson.images.train):,} training images of shape {lesson.image_shape}, with values in [{low:.3f}, {high:.3f}]")
# %% [markdown]
# A range is only two numbers. How often does each value occur? For comparison we take a second set of images that
# comes with the package, so that there is one set of drawn strokes and one of photographs. (Put another name from the
# table above, such as `"cifar10"`, if you do not mind a download.)
# %%
another = load("patches" if lesson.image_shape[0] == 1 else "digits")
low, high = value_range(another.train.pixels)
print(f"{another.name} has {len(another.train):,} training images of shape {another.image_shape}, with values in [{low:.3f}, {high:.3f}]")
other = by_class(another.train, 10) if len(another.class_names) > 2 else another.train[rng.choice(len(another.train), 20)]
lesson.show(figures.samples_of(other.pixels[:20], None, title=f"{another.name}, for comparison"))
# %%
@look.drawn
def values_of(sets: dict[str, np.ndarray]):
    figure = look.canvas(look.WIDTH, 2.9)
    for axes, (title, pixels) in zip(figure.subplots(1, len(sets)), sets.items(), strict=True):
        names = {1: [("grey", "#333333")], 3: [("red", "#bd1f01"), ("green", "#2e8b57"), ("blue", "#3f90da")]}
        for channel, (name_of, colour) in enumerate(names[pixels.shape[1]]):
            share, edges = np.histogram(pixels[:, channel] / 255, bins=32, range=(0, 1))
            axes.stairs(100 * share / share.sum(), edges, color=colour, label=name_of, linewidth=1.8)
        axes.set(title=title, xlabel="pixel value, 0 black to 1 full", ylabel="share of pixels, %")
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])  # room for the legend
        axes.legend(loc="upper center", ncols=3)
    return figure


def at_random(images, most: int = 2000) -> np.ndarray:
    """Pixels of some images from all over the set."""
    return images.pixels[np.sort(rng.choice(len(images), min(most, len(images)), replace=False))]


lesson.show(values_of({lesson.images.name: at_random(lesson.train), another.name: at_random(another.train)}))
# %% [markdown]
# Two different worlds. Images of strokes are nearly all paper: most pixels sit at one end, some at the other, few
# between. Photographs use the whole scale, with heaps where skies and shadows are. Keep that in mind when, in lesson
# 5, we have to say how *probable* a pixel value is. A bell curve around some mean will be our first guess. It fits
# neither of these perfectly, and for a pixel that is always exactly paper it is a poor guess indeed.
#
# Now each pixel by itself. What is its **mean** over all images, and how far do images **spread** around it (its
# standard deviation)? Both are images again. That is your second exercise.
# %% exercise="mean_and_spread"
def mean_and_spread(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each pixel over images uint8 [N, C, H, W]: two arrays [C, H, W] in units of [0, 1]."""
    # BEGIN SOLUTION
    #> return the mean image and the spread
    return pixels.mean(axis=0) / 255, pixels.std(axis=0) / 255
    # END SOLUTION
# %%
mean_and_spread = lesson.check("mean_and_spread", mean_and_spread)
# %%
@look.drawn
def mean_beside_spread(mean: np.ndarray, spread: np.ndarray):
    figure = look.canvas(look.WIDTH, 3.4)
    left, right = figure.subplots(1, 2)
    shades = left.imshow(mean.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    if len(mean) == 1:  # of colours there is no one scale
        figure.colorbar(shades, ax=left, shrink=0.8, label="pixel value")
    heat = right.imshow(spread.mean(0), cmap="viridis", vmin=0)
    figure.colorbar(heat, ax=right, shrink=0.8, label="standard deviation, pixels in [0, 1]")
    for axes, title in ((left, "the mean image"), (right, "how far images spread around it")):
        axes.set(title=title, xticks=[], yticks=[])
        axes.grid(False)
    return figure


mean, spread = mean_and_spread(lesson.train.pixels[:10_000])
lesson.show(mean_beside_spread(mean, spread))
print(f"mean variance of a pixel: {(spread**2).mean():.4f}; so large is the squared error of a model that always says the mean image")
# %% [markdown]
# That last number is worth remembering. It is the squared error of the laziest model there is, which looks at nothing
# and always answers with the mean image. Whatever you train in the coming lessons has to do better.
#
# And pixels at the edges of digits, which are always paper, do not vary at all: whoever divides by the spread there,
# divides by zero. (Nor is the mean image an image that anybody would draw. The mean of many sevens and many threes is
# no digit. Remember this in lesson 3.)
# %%
if lesson.train.labels is None:
    print("without labels there is only one mean, the one above")
else:
    shown = np.unique(lesson.train.labels)[:20]
    means = np.stack([mean_and_spread(lesson.train.pixels[lesson.train.labels == label][:2000])[0] for label in shown])
    lesson.show(figures.samples_of(means, shown, lesson.images.class_names, title="the mean of each class"))
# %% [markdown] section="4" title="What a few labels can do" minutes=8
# Let us try all three ways to learn on your images, with the simplest methods that there are. Suppose that you can
# pay for only $n$ labels, and then have to name all test images.
#
# - **Supervised:** draw $n$ training images at random and have them labelled. A test image gets the label of the
#   labelled image that is nearest to it, pixel by pixel. All other training images are not used.
# - **Semi-supervised:** first look at *all* training images, without labels, and find $n$ groups among them (with
#   *k-means*: put $n$ centres somewhere; assign every image to its nearest centre; move each centre to the mean of
#   its images; repeat). That part is **unsupervised**. Then have one image of each group labelled, the one nearest to
#   the centre, and let the whole group have its name.
#
# Both pay for the same number of labels. The second one spends them better, if the groups mean something.
# %%
def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Which of the centres [k, P] is nearest to each of the points [n, P]."""
    return ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)  # |x - c|^2 less |x|^2, which is the same for all c


def groups(points: np.ndarray, number: int, rounds: int = 15) -> np.ndarray:
    """Centres [number, P] of groups among the points, by k-means."""
    centres = points[np.random.default_rng(0).choice(len(points), number, replace=False)]
    for _ in range(rounds):
        group = nearest(points, centres)
        members = [points[group == one] for one in range(number)]
        centres = np.stack([own.mean(0) if len(own) else old for own, old in zip(members, centres, strict=True)])
    return centres


def flat(images, most: int) -> np.ndarray:
    """The first images as rows of pixels in [0, 1]."""
    return images.pixels[:most].reshape(min(most, len(images)), -1) / np.float32(255)


train_rows, test_rows = flat(lesson.train, 5000), flat(lesson.test, 2000)
centres = groups(train_rows, min(20, len(train_rows)))
lesson.show(figures.samples_of(centres.reshape(-1, *lesson.image_shape), title="centres of 20 groups, found without labels"))
# %% [markdown]
# No label was used for these centres. Can you name them all the same?
# %%
@look.drawn
def accuracies(numbers: list[int], at_random: np.ndarray, by_groups: list[float], chance: float):
    figure = look.canvas(look.WIDTH, 3.4)
    axes = figure.subplots()
    axes.plot(numbers, 100 * np.array(by_groups), marker="o", color="#009E73", label="semi-supervised: name the groups")
    axes.errorbar(numbers, 100 * at_random.mean(1), 100 * at_random.std(1), marker="s", color="#E69F00", capsize=3,
                  label="supervised: labels at random (10 draws, with their spread)")  # fmt: skip
    axes.axhline(100 * chance, color=look.QUIET, linestyle="--", label="always the most common class")
    axes.set(xscale="log", xlabel="number of labels paid for", ylabel="test images named rightly, %", ylim=(0, 100))
    axes.set_xticks(numbers, list(map(str, numbers)))
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2)
    return figure


numbers = [number for number in (10, 20, 50, 100) if number <= len(train_rows)]
if lesson.train.labels is None or len(np.unique(lesson.train.labels)) < 2 or not numbers:
    print("these images have no labels to be named by: read on, or try this section with digits")
else:
    train_labels, test_labels = lesson.train.labels[: len(train_rows)], lesson.test.labels[: len(test_rows)]
    by_chance, by_groups = [], []
    for number in course.track(numbers, "grouping"):
        drawn = [np.random.default_rng(seed).choice(len(train_rows), number, replace=False) for seed in range(10)]
        by_chance.append([(train_labels[own][nearest(test_rows, train_rows[own])] == test_labels).mean() for own in drawn])
        centres = groups(train_rows, number)
        asked = nearest(centres, train_rows)  # the training image nearest to each centre: it is shown to the expert
        by_groups.append(float((train_labels[asked][nearest(test_rows, centres)] == test_labels).mean()))
    chance = max((test_labels == label).mean() for label in np.unique(train_labels))
    lesson.show(accuracies(numbers, np.array(by_chance), by_groups, chance))
    print(f"with {numbers[-1]} labels: {100 * np.mean(by_chance[-1]):.0f} % at random, {100 * by_groups[-1]:.0f} % by groups")
# %% [markdown]
# With digits, knowing how images group makes each label worth several. The labels did not get better; the
# *description of the images* did.
#
# With photographs both curves stay low. Two pictures of a ship differ, pixel by pixel, as much as a ship and a frog:
# groups of raw pixels are groups of "dark below, bright above". What would help is a description in which images that
# *mean* the same lie close together. Finding such descriptions without labels is what the next eleven lessons are
# about.
# %% [markdown] section="5" title="Choose your images, and share out the work" minutes=5
# The course runs with any of the sets. Which one should be yours?
#
# MNIST is the simpler one: models train faster on it, and results look better. CIFAR-10 is harder, slower, and more
# like the world. A folder of your own is the most fun, above all if nobody has looked at it in this way before. (A
# few thousand images of similar things work best.)
#
# **The class experiment.** If you learn in a group, let some take MNIST and others CIFAR-10, and let everybody take
# another $K$, the number of numbers that describe an image (you will choose yours in the next lesson). Each run that
# you make is noted in your hand-in: which images, which model, which $K$, the error on test images, and later the
# ELBO. From all hand-ins together comes one figure that none of you has the time for alone: error against $K$, for
# every model and every set of images. This cell makes a plan for your group; put in your names.
# %%
members = ["first member", "second member", "third member", "fourth member"]
options = {"mnist": [5, 10, 15, 20], "cifar10": [50, 64, 80, 100]}
for number, member in enumerate(members):
    data_of = list(options)[number % len(options)]
    k_of = options[data_of][number // len(options) % len(options[data_of])]
    print(f"{member}: data={data_of!r}, K = {k_of}")
# %% [markdown] discuss="who_takes_which_images"
# **In your group:** who takes which images, and why? Before anything is trained, guess: how many numbers does it take
# to describe a digit so that you recognise it? How many for a photograph? Write the guesses down; you will meet them
# again in lesson 10.
