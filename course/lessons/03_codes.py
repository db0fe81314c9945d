# ---
# lesson:
#   id: "03"
#   title: Looking at codes
#   goals:
#     - draw the codes of many images as a map, and know what such a map shows and hides
#     - walk from one image to another in three ways, through pixels and through the codes of two models
#     - say what is odd half way, and which of it follows from the model being linear
#     - measure how empty the space between codes is
#   references:
#     - "Hinton & Salakhutdinov, 2006, Reducing the dimensionality of data with neural networks, https://doi.org/10.1126/science.1127647"
#     - "White, 2016, Sampling generative networks, https://arxiv.org/abs/1609.04468"
#     - "Berthelot, Raffel, Roy & Goodfellow, 2018, Understanding and improving interpolation in autoencoders via an adversarial regularizer, https://arxiv.org/abs/1807.07543"
#     - "Petroff, 2021, Accessible color sequences for data visualization, https://arxiv.org/abs/2107.02270"
# ---

# %% [markdown] section="1" title="Two models to look into" minutes=6 video="HcvTrvCntBY" video_title="The latent space"
# An autoencoder squeezes an image $\mathbf x$ through $K$ numbers, its **code** $\mathbf h$. So far we looked at what comes out at the other end. Today we look at the codes themselves, and at the space they live in: which images lie near
# each other? What is between two of them? The codes are also called *hidden* or *latent* representations, since nothing in the data says what they should be; the network made them up to do its one task, reconstruction.
#
# We want two models with the same $K$: the linear autoencoder of lesson 1 and the convolutional one of lesson 2. The next cells train both, which takes a while for the second. Use the time: what do *you* expect to find between
# a 3 and a 7, or between a ship and a frog?

# %%
import numpy as np
import torch
from torch import Tensor

from lowerbound import course, curves, figures, look, maps

LinearAutoencoder = lesson.piece("LinearAutoencoder")
ConvAutoencoder = lesson.piece("ConvAutoencoder")
train_autoencoder = lesson.piece("train_autoencoder")

# %%
torch.manual_seed(3)
K = max(2, min(lesson.suggested_k, len(lesson.train) - 1))  # the same for both; your group may agree on another one
linear = LinearAutoencoder(lesson.image_shape, K).to(lesson.device)
linear_losses = train_autoencoder(linear, lesson.train.pixels, epochs=lesson.epochs(fast=20, full=20), batch_size=100)

# %%
conv = ConvAutoencoder(lesson.image_shape, K, filter_size=lesson.filter_size).to(lesson.device)
lesson.fast_start(conv, lesson.train.pixels, K)
# Few epochs: so small batches.
conv_losses = train_autoencoder(conv, lesson.train.pixels, epochs=lesson.epochs(fast=3, full=20), batch_size=50)


# %%
def in_parts(function, values):
    """A network's half, applied to 500 rows at a time and without gradients: memory stays small."""
    with torch.no_grad():
        return torch.cat([function(part.to(lesson.device)).cpu() for part in values.split(500)])


x_test = course.floats(lesson.test.pixels)
labels, names = lesson.test.labels, lesson.images.class_names
codes = {"linear": in_parts(linear.encode, x_test), "conv": in_parts(conv.encode, x_test)}
again = {"linear": in_parts(linear.decode, codes["linear"]), "conv": in_parts(conv.decode, codes["conv"])}
errors = {model: float(((images - x_test) ** 2).mean()) for model, images in again.items()}
lesson.show(curves.losses({"linear": linear_losses, "conv": conv_losses}))
lesson.show(
    figures.reconstructions(
        lesson.test.pixels[:7], {model: images[:7].numpy() for model, images in again.items()}, errors=errors, k=K
    )
)

# %% [markdown] section="2" title="A map of the codes" minutes=9
# A code has $K$ numbers, a sheet of paper has two. A map must leave something out, and the least is lost along the directions in which the codes vary most: their two **principal axes**, the eigenvectors of their covariance with the
# largest eigenvalues. It is the PCA of lesson 1, done not to pixels but to codes. Every point below is one test image; neither model has seen it in training.
#
# The colours are the images' classes. Remember that **no class was ever told to either model**. If a class lies together, the autoencoder has found out by itself that these images have much in common. (The colours were chosen to
# stay apart for colour-blind readers, and the points are drawn in random order, so that no class hides the others.)


# %%
def two_axes(codes):
    """Places [n, 2] of codes [n, K] on their two principal axes, and the fractions of their variance along these."""
    centred = (codes - codes.mean(0)).double()
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))  # smallest first
    fractions = variances.flip(0) / variances.sum()
    return (centred @ axes.flip(1)[:, :2]).numpy(), (float(fractions[0]), float(fractions[1]))


mapped = {model: two_axes(values) for model, values in codes.items()}
places = {model: xy for model, (xy, _) in mapped.items()}
fractions = {model: shares for model, (_, shares) in mapped.items()}
if labels is None:
    print("these images have no labels: the map has one colour")
lesson.show(maps.codes_map(places, labels, names, fractions=fractions))

# %% [markdown]
# How to read it, and how not to:
#
# - **Near on the map is not near in truth.** The axis labels say how much of the variance lies along the two axes. The rest is in the other $K - 2$ directions, seen from straight above. Two classes that overlap here may well be apart.
# - **The axes of the two maps have nothing to do with each other.** Neither has their sign nor their scale: turn all codes around and let the decoder turn them back, and the model is the same. Only relations within a map mean something.
# - **Look for shapes, too**: is the cloud round like a normal distribution, or star-shaped, bent, lumpy? This matters in the next lesson.
#
# The first point can be checked. For every test image we look for its nearest neighbour, once among all $K$ numbers and once on the map, and ask how often it is of the same class:


# %%
def neighbours_agree(places, labels):
    """How often, in percent, the nearest other point is of the same class."""
    points = torch.as_tensor(places, dtype=torch.float64)[:2000]
    distances = torch.cdist(points, points).fill_diagonal_(float("inf"))
    kinds = torch.as_tensor(np.asarray(labels)[:2000].astype(int))
    return 100 * float((kinds[distances.argmin(1)] == kinds).double().mean())


if labels is None:
    print("without labels there is nothing to compare")
else:
    print(f"{'nearest neighbour of the same class':38}{'in the pixels':>15}{'in all of h':>13}{'on the map':>12}")
    in_pixels = neighbours_agree(x_test.flatten(1), labels)
    for model, values in codes.items():
        print(
            f"{model:38}{in_pixels:14.0f}%{neighbours_agree(values, labels):12.0f}%{neighbours_agree(places[model], labels):11.0f}%"
        )

# %% [markdown] response="map_of_codes"
# Which classes lie apart on the map, which ones mix? Pick a pair that mixes and say what these images have in common, in the eyes of a model that only ever compares pixels.

# %% [markdown] section="3" title="Three ways from one image to another" minutes=8
# A map shows where images are. To learn about the space *between* them, take two images, $\mathbf x_1$ and $\mathbf x_2$, and go from one to the other in small steps. Let $t$ run from 0, at the first image, to 1, at the second. There is more than one
# way to go:
#
# 1. straight through the **pixels**:
#    $\ \mathbf x(t) = (1 - t)\, \mathbf x_1 + t\, \mathbf x_2$;
# 2. through the codes of the **linear** autoencoder: encode both, go straight from code to code, and decode on the way:
#    $\ \mathbf x(t) = \mathrm{dec}_\text{lin}\big((1 - t)\,\mathrm{enc}_\text{lin}(\mathbf x_1) + t\,\mathrm{enc}_\text{lin}(\mathbf x_2)\big)$;
# 3. the same through the codes of the **convolutional** autoencoder:
#    $\ \mathbf x(t) = \mathrm{dec}_\text{conv}\big((1 - t)\,\mathrm{enc}_\text{conv}(\mathbf x_1) + t\,\mathrm{enc}_\text{conv}(\mathbf x_2)\big)$.
#
# All three need the same thing: points in equal steps on a straight line between two vectors.
#
# **Exercise: `interpolate`.** It gets two vectors of $K$ numbers and a number of steps, and gives the points `[steps, K]`: the first is `start`, the last is `end`.


# %% exercise="interpolate"
def interpolate(start: Tensor, end: Tensor, steps: int = 11) -> Tensor:
    """Points [steps, K] in equal steps on the straight line from one vector [K] to another."""
    # BEGIN SOLUTION
    #> t = ...    # from 0 to 1 in so many steps, as a column [steps, 1]
    #> return ...
    t = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (1 - t) * start + t * end
    # END SOLUTION


# %%
interpolate = lesson.check("interpolate", interpolate)

# %% [markdown] section="4" title="What is half way?" minutes=11
# Now walk. The cell picks two test images at random, of different classes where there are classes. **Run it several times**; every run is another pair. Watch the middle, around $t = 0.5$, and count: how many different kinds of things do you see in the
# bottom row?
#
# (With MNIST this is more telling than with CIFAR-10. If someone in your group has the other data set, look at both screens.)


# %%
def random_pair():
    """Numbers of two test images, of different classes where there are any."""
    first = int(torch.randint(len(x_test), ()))
    others = np.arange(len(x_test)) if labels is None else np.flatnonzero(labels != labels[first])
    others = others if len(others) else np.arange(len(x_test))
    return first, int(others[torch.randint(len(others), ())])


def three_ways(first, second, steps=11):
    """Images [steps, C, H, W] on the three ways between two test images."""
    pixels = interpolate(x_test[first].flatten(), x_test[second].flatten(), steps).unflatten(1, lesson.image_shape)
    ways = {model: interpolate(codes[model][first], codes[model][second], steps) for model in codes}
    return {
        "pixels": pixels,
        "linear": in_parts(linear.decode, ways["linear"]),
        "conv": in_parts(conv.decode, ways["conv"]),
    }


# %%
first, second = random_pair()
ways = three_ways(first, second)
lesson.show(figures.interpolation({way: images.numpy() for way, images in ways.items()}))

# %% [markdown] discuss="halfway"
# Show each other your most surprising pair. What happens around $t = 1/2$ in each of the three rows? How many distinct classes do you see in the bottom row? Are all images on the way images that could have been in the data set? Agree on a description, and on a guess why.

# %% [markdown] response="interpolation_observations"
# Sum up what you saw: what surprised you at first, and why does it make sense after all?

# %% [markdown]
# ## Let us check our guesses
#
# **The first two rows look alike because they are.** A linear encoder and a linear decoder keep straight lines straight: with $f(\mathbf h) = \mathbf W \mathbf h + \mathbf b$,
#
# $$f\big((1 - t)\,\mathbf h_1 + t\,\mathbf h_2\big) = (1 - t)\, f(\mathbf h_1) + t\, f(\mathbf h_2),$$
#
# since the two shares of $\mathbf b$ add up to one. So the linear model shows nothing but a double exposure, one reconstruction laid over the other. It cannot do otherwise, whatever $K$ is and however long it is trained. The cell below compares each row with the blend of its
# own two ends:


# %%
def distance_from_blend(images):
    """Root mean squared difference, per value, of images on a way from the blend of its first and last; at each step."""
    blend = interpolate(images[0].flatten(), images[-1].flatten(), len(images))
    return ((images.flatten(1) - blend) ** 2).mean(1).sqrt()


for way, images in ways.items():
    print(
        f"{way:8} differs from the blend of its two ends by at most {distance_from_blend(images).max():.6f} per value"
    )

# %% [markdown]
# **The third row is something else.** Its decoder bends straight lines, so that strokes can move in place of fading out and in. Sometimes what comes up half way is an image of a *third* class, which belongs to neither end; sometimes it is nothing at all, a smudge no one would have drawn.
# Why? Along the straight line from code to code we may pass through the region of another class, or through places where there are **no codes at all**. Both can be measured: for each point on the way, find the nearest code of a training image. Its class says in
# whose region we are, its distance how empty it is around us.

# %%
train_codes = in_parts(conv.encode, course.floats(lesson.train.pixels))
train_labels = lesson.train.labels


def nearest(points):
    """Of points [n, K], the distances to the nearest training code, and the numbers of these images."""
    distance, image = torch.cdist(points, train_codes).min(1)
    return distance, image


def steps_with_classes(points):
    """The classes of the nearest training images, in words."""
    kinds = [int(train_labels[int(image)]) for image in nearest(points)[1]]
    return " → ".join(names[kind] if kind < len(names) else str(kind) for kind in kinds)


way = interpolate(codes["conv"][first], codes["conv"][second])
print("nearest training image, step by step:", "no labels here" if train_labels is None else steps_with_classes(way))

t = torch.linspace(0, 1, 11)
empty, third = [], 0
pairs = [random_pair() for _ in range(100)]
for one, other in pairs:
    distance, image = nearest(interpolate(codes["conv"][one], codes["conv"][other]))
    empty.append(distance)
    if train_labels is not None:
        third += bool(set(np.asarray(train_labels)[image.numpy()]) - {labels[one], labels[other]})
empty = torch.stack(empty) / nearest(codes["conv"])[0].median()  # 1: as near as a test image's code usually is


@look.drawn
def emptiness(t, empty):
    """Distance to the nearest training code along the way: median and quartiles over pairs."""
    low, middle, high = np.percentile(empty, [25, 50, 75], axis=0)
    figure = look.canvas(look.WIDTH, 3.2)
    axes = figure.subplots()
    axes.fill_between(t, low, high, color="#009E73", alpha=0.2, linewidth=0, label="half of all pairs")
    axes.plot(t, middle, "^-", color="#009E73", label="median over 100 pairs")
    axes.axhline(1, color="black", linestyle="--", label="a test image's own code, typically")
    axes.set(
        xlabel="t, the way from one code to the other",
        ylabel="distance to the nearest\ntraining code, relative",
        ylim=(0, None),
    )
    axes.legend(loc="lower center", ncols=3, fontsize="small")
    return figure


lesson.show(emptiness(t.numpy(), empty.numpy()))
if train_labels is not None:
    print(f"of 100 random pairs, {third} pass an image of a third class on their way")

# %% [markdown] section="5" title="What nobody asked for" minutes=4
# The curve rises towards the middle: half way we are farther from any image's code than images' codes are from each other. The decoder has never been asked for anything there. What it draws in such a place is no error, it is *whatever comes out*; the loss in training was a sum over codes of
# images, and not a single term of it was about the space between.
#
# So an autoencoder gives codes that serve to reconstruct, and a space that is only partly inhabited: clumps, gaps, and no rule by which one could tell where the next image would be. This is all right for compressing images. It is not enough for *making new ones*, for which we would have to
# know where to put our finger on the map. That is the next lesson. And when you come to lesson 7, remember this walk and take it again with a model that was trained to have no such gaps.
