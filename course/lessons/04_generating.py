# ---
# lesson:
#   id: "04"
#   title: Generating images, and what a density network is
#   goals:
#     - decode codes that were drawn out of thin air, and see why most of the images are none
#     - write down a density network in full, with a prior, a decoder, a noise model and an integral
#     - say why maximum likelihood brings a model near to the distribution that images come from
#     - estimate log p(x) by sampling in a stable way, and see how it breaks down in many dimensions
#   references:
#     - "MacKay, 1995, Bayesian neural networks and density networks, https://doi.org/10.1016/0168-9002(94)00931-7"
#     - "Theis, van den Oord & Bethge, 2016, A note on the evaluation of generative models, https://arxiv.org/abs/1511.01844"
#     - "Wu, Burda, Salakhutdinov & Grosse, 2017, On the quantitative analysis of decoder-based generative models, https://arxiv.org/abs/1611.04273"
# ---

# %% [markdown] section="1" title="Images out of nothing" minutes=8 video="h96JaT5Jyi4" video_title="Generating with Gaussians"
# An autoencoder has two halves, and until now they were always used together: an image goes in, $K$ numbers come out of the encoder, and the decoder makes an image of them again,
#
# $$\mathbf x \overset{\text{encode}}{\longrightarrow} \mathbf h \overset{\text{decode}}{\longrightarrow} \mathbf x'.$$
#
# Take the second half alone. It is a network that turns $K$ numbers, *any* $K$ numbers, into something of the size of an image. It has only ever been trained to give images like ours. So why not feed it
# numbers that came from no image, and get a new one? That makes it a *generative model*: a machine that makes up data.
#
# Where should the numbers come from? The simplest choice is to draw them independently from the standard normal distribution: mean 0, variance 1. We give them a name of their own,
# $\mathbf z$ in place of $\mathbf h$:
#
# $$\mathbf z \sim p(\mathbf z) = \mathcal N(\mathbf 0, \mathbf I_K), \qquad \mathbf z \overset{\text{decode}}{\longrightarrow} \mathbf x.$$
#
# The new letter marks a real difference. $\mathbf h$ is *computed*: it belongs to one image, and the encoder made it. $\mathbf z$ is *drawn*: nobody has seen an image yet, and what we know of $\mathbf z$ beforehand
# is the distribution it is drawn from, which is called the **prior**. For the same reason the image has lost its prime: there is no original that it would be the reconstruction of.
#
# First we need a decoder. The cell below trains the convolutional autoencoder of lesson 2 again.

# %%
import math

import numpy as np
import torch
from torch import Tensor

from lowerbound import course, figures, look

ConvAutoencoder = lesson.piece("ConvAutoencoder")
train_autoencoder = lesson.piece("train_autoencoder")

# %%
torch.manual_seed(4)
K = min(lesson.suggested_k, len(lesson.train) - 1)
P = math.prod(lesson.image_shape)
model = ConvAutoencoder(lesson.image_shape, K, filter_size=lesson.filter_size).to(lesson.device)
lesson.fast_start(model, lesson.train.pixels, K)
# Few epochs: so small batches.
losses = train_autoencoder(model, lesson.train.pixels, epochs=lesson.epochs(fast=3, full=20), batch_size=50)


def in_parts(function, values):
    """A network's half, applied to 500 rows at a time and without gradients: memory stays small."""
    with torch.no_grad():
        return torch.cat([function(part.to(lesson.device)).cpu() for part in values.split(500)])


x_test = course.floats(lesson.test.pixels)
codes = in_parts(model.encode, course.floats(lesson.train.pixels))  # [N, K], of the images it was trained on
test_codes = in_parts(model.encode, x_test)
test_mse = float(((in_parts(model.decode, test_codes) - x_test) ** 2).mean())
print(f"K = {K}: test MSE {test_mse:.4f} per pixel")

# %% [markdown]
# **Exercise: `generate_images`.** Draw `number` codes of `latent_dim` components from $\mathcal N(\mathbf 0, \mathbf I)$, and decode all of them at once. Nothing will be learned from these images, so no gradients
# need to be kept.


# %% exercise="generate_images"
def generate_images(decode, latent_dim: int, number: int, device: torch.device | str = "cpu") -> Tensor:
    """New images [number, C, H, W], decoded from codes that are drawn from N(0, I)."""
    # BEGIN SOLUTION
    #> z = ...    # [number, latent_dim], on the device
    #> return ...
    z = torch.randn(number, latent_dim, device=device)
    with torch.no_grad():
        return decode(z)
    # END SOLUTION


# %%
generate_images = lesson.check("generate_images", generate_images)

# %%
torch.manual_seed(0)
new = generate_images(model.decode, K, 25, lesson.device).cpu()
lesson.show(figures.samples_grid({"conv": new.numpy()}))

# %% [markdown]
# Be honest: how many of these 25 would pass for images of the data set? Run the cell with another seed, and compare with the real ones:

# %%
some = lesson.test[:20]
lesson.show(figures.samples_of(some.pixels, some.labels, lesson.images.class_names, title="images of the data set"))

# %% [markdown] section="2" title="Why most of them fail" minutes=7
# The decoder reconstructs images well, and yet it makes few good ones from random numbers. It did just what was asked: *for the codes that the encoder gave it*, make the images. About all other
# places in the space of codes nothing was ever said. So the question is whether our draws fall where the codes are. Nobody told the encoder to put its codes where $\mathcal N(\mathbf 0, \mathbf I)$ draws them; it was free to
# use any scale, any centre, any shape. Let us look at what it chose.


# %%
@look.drawn
def spread_of(codes):
    """Left the standard deviation of codes along each of their principal axes; right codes and prior draws on the first two."""
    variances, axes_of_codes = np.linalg.eigh(np.cov(codes, rowvar=False))
    scales, directions = np.sqrt(np.maximum(variances[::-1], 1e-12)), axes_of_codes[:, ::-1]
    figure = look.canvas(look.WIDTH, 3.9)
    left, right = figure.subplots(1, 2)
    place = np.arange(1, len(scales) + 1)
    left.plot(place, scales, "^-", color="#009E73", markersize=4, label="codes of the training images")
    left.axhline(1, color="black", linestyle="--", label="draws from N(0, I)")
    left.set(yscale="log", xlabel="principal axis of the codes", ylabel="standard deviation along it")
    left.set_ylim(min(scales.min(), 1) / 1.6, max(scales.max(), 1) * 2.2)
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.minorticks_off()
    left.legend(loc="upper right", fontsize="small")
    shown = codes[:2000] @ directions[:, :2]
    prior = np.random.default_rng(0).standard_normal((500, 2))
    quiet = {"sketch_params": None, "linewidths": 0}
    right.scatter(*shown.T, s=6, color="#009E73", alpha=0.5, label="codes of images", **quiet)
    right.scatter(*prior.T, s=6, color="black", alpha=0.6, label="draws from N(0, I)", **quiet)
    right.set(xlabel="first principal axis of the codes", ylabel="second principal axis")
    right.set_aspect("equal", adjustable="datalim")
    right.legend(loc="upper right", fontsize="small", markerscale=2)
    return figure


lesson.show(spread_of(codes.double().numpy()))


def nearest(some_codes):
    """Median distance of codes to the nearest code of a training image."""
    return float(torch.cdist(some_codes, codes).amin(1).median())


z = torch.randn(len(test_codes), K)
print(f"from a test image's code to the nearest training code: {nearest(test_codes):.2f}")
print(f"from a draw of N(0, I) to the nearest training code:   {nearest(z):.2f}")
centre = codes.mean(0)
print(
    f"distance of the codes from 0: {codes.norm(dim=1).mean():.2f} ± {codes.norm(dim=1).std():.2f}; of draws: {z.norm(dim=1).mean():.2f} ± {z.norm(dim=1).std():.2f}; "
    f"of the codes' mean: {centre.norm():.2f}"
)

# %% [markdown]
# If the codes were distributed as $\mathcal N(\mathbf 0, \mathbf I)$, every triangle in the left panel would lie on the dashed line, and on the right both clouds would be one. They are not: the codes may be far
# narrower than the draws or far wider, more so along some axes than along others, and their centre need not be at 0. The draws are therefore in the wrong places, and the decoder has to invent.
#
# Is it only a matter of scale and direction, then? That can be tried: draw from a normal distribution that has *the codes' own* mean and covariance.

# %%
covariance = torch.cov(codes.double().T)
root = torch.linalg.cholesky(covariance + 1e-9 * covariance.trace() * torch.eye(K))
torch.manual_seed(0)
z = (centre + torch.randn(25, K, dtype=torch.float64) @ root.T).float()
own_spread = in_parts(model.decode, z)
lesson.show(
    figures.samples_grid({"conv": own_spread.numpy()}, prior="a normal with the mean and covariance of the codes")
)
print(
    f"from such a draw to the nearest training code: {nearest((centre + torch.randn(len(test_codes), K, dtype=torch.float64) @ root.T).float()):.2f}"
)

# %% [markdown]
# Often better, still not good. The codes have a shape that is no ellipse: classes form clumps, and there are empty places between them, which you crossed on your walks in lesson 3. There are two ways out. One is to *learn* the prior,
# a distribution that fits the codes as they are (lesson 9 comes back to this). The other is to train in such a way that the codes of all images **together fill** $\mathcal N(\mathbf 0, \mathbf I)$, without holes. This is the way of the
# variational autoencoder, and to see what it has to maximise, we first say exactly what we want.

# %% [markdown] response="why_samples_fail"
# Why do random codes give poor images although reconstructions are good? Use the numbers and the figure of *your* model: where do its codes lie, and where do the draws?

# %% [markdown] section="3" title="Density networks" minutes=7 video="rx3IlM4qnvw" video_title="Density networks"
# A **density network** (MacKay, 1995) turns the decoder into a full probability distribution over images. It takes four things.
#
# 1. A space of codes $\mathbf z \in \mathbb R^K$ with a **prior** $p(\mathbf z)$. Ours is $\mathcal N(\mathbf 0, \mathbf I_K)$.
# 2. **Data** $\mathbf x_1, \ldots, \mathbf x_N \in \mathbb R^P$: images, each drawn independently from the same unknown distribution $p_\text{true}(\mathbf x)$, the world that images come from. $P$ counts all values of an image, height times width times colours:
#    784 for MNIST, 3,072 for CIFAR-10.
# 3. A **function** $f(\mathbf z; \mathbf w)$ from $\mathbb R^K$ to $\mathbb R^P$ that can be differentiated with respect to its parameters $\mathbf w$. The decoder is one.
# 4. A **noise model** $p(\mathbf x \mid \mathbf z; \mathbf w)$, which says how images scatter around $f(\mathbf z; \mathbf w)$. Without it the model could only ever make images that lie exactly on a $K$-dimensional sheet, and every real image would be impossible.
#    The simplest choice is independent normal noise on every value,
#    $$p(\mathbf x \mid \mathbf z; \mathbf w) = \mathcal N\big(\mathbf x;\, f(\mathbf z; \mathbf w),\, \sigma_x^2\, \mathbf I_P\big).$$
#    The identity matrix $\mathbf I_P$ says *independent*; no program ever forms it. The density is a product over the $P$ values, and its logarithm a sum.
#
# (A bar, $p(a \mid b)$, is for two random quantities, the second of which is given; a semicolon, $p(a; c)$, is for a distribution of $a$ whose shape depends on a parameter $c$. Some write $p_c(a)$.)
#
# To make an image: draw $\mathbf z$, compute $f(\mathbf z; \mathbf w)$, add noise. To know how likely an image is: *any* $\mathbf z$ may have made it, so add up all possibilities, each as much as the prior gives it,
#
# $$p(\mathbf x; \mathbf w) = \int p(\mathbf z)\, p(\mathbf x \mid \mathbf z; \mathbf w) \,\mathrm d\mathbf z.$$
#
# Here is the whole thing small enough to be drawn: codes of a single number, "images" of two.


# %%
@look.drawn
def density_network(noise=0.18):
    """A prior over one number, the curve that a decoder bends it to in the plane, and the density that noise makes of the curve."""

    def decode(z):
        return np.stack([1.3 * np.tanh(0.9 * z) + 0.25 * z, 0.9 * np.sin(1.9 * z)], -1)

    rng = np.random.default_rng(2)
    draws, line = rng.standard_normal(60), np.linspace(-2.7, 2.7, 400)
    figure = look.canvas(look.WIDTH, 3.2)
    one, two, three = figure.subplots(1, 3)
    one.plot(line, np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi), color="black")
    one.plot(draws, np.full(60, 0.012), "|", color="#009E73", markersize=12)
    one.set(xlabel="z", ylabel="prior density", ylim=(0, 0.45))
    one.set_title("draw z from the prior", fontsize="small")
    means = decode(draws)
    made = means + noise * rng.standard_normal(means.shape)
    two.plot(*decode(line).T, color="#b5b5b5", linewidth=3, zorder=0)
    for mean, image in zip(means, made, strict=True):
        two.plot(*np.stack([mean, image]).T, color="#009E73", linewidth=0.6)
    two.plot(*made.T, "o", color="#009E73", markersize=3)
    two.set_title("decode to f(z), add noise", fontsize="small")
    side = np.linspace(-2.4, 2.4, 120)
    grid = np.stack(np.meshgrid(side, side), -1)
    z = np.linspace(-4, 4, 400)
    weight = np.exp(-(z**2) / 2)
    squared = ((grid[:, :, None] - decode(z)) ** 2).sum(-1)
    density = (np.exp(-squared / (2 * noise**2)) * weight).sum(-1) / weight.sum() / (2 * np.pi * noise**2)
    three.imshow(density, origin="lower", extent=(-2.4, 2.4, -2.4, 2.4), cmap="Greens", interpolation="bilinear")
    three.grid(visible=False)
    three.set_title("all z together: p(x)", fontsize="small")
    for axes in (two, three):
        axes.set(xlim=(-2.4, 2.4), ylim=(-1.8, 1.8), xlabel="x₁", ylabel="x₂", aspect="equal")
    return figure


lesson.show(density_network())

# %% [markdown] section="4" title="Maximum likelihood" minutes=6
# When is such a model good? When its distribution $p(\mathbf x; \mathbf w)$ is near to $p_\text{true}(\mathbf x)$. The usual measure of how far is the Kullback-Leibler divergence,
#
# $$\mathrm{KL}\big(p_\text{true} \,\|\, p(\cdot\,; \mathbf w)\big) = \mathbb E_{p_\text{true}}\big[\log p_\text{true}(\mathbf x)\big] - \mathbb E_{p_\text{true}}\big[\log p(\mathbf x; \mathbf w)\big] \ \ge\ 0,$$
#
# which is zero only if the two are the same. We do not know $p_\text{true}$. But look at the two parts. The first does not depend on $\mathbf w$: whatever it is, it is the same for all models. And the second is an average over images from the world,
# and we *have* images from the world. So
#
# $$\mathbf w^* = \arg\min_{\mathbf w} \mathrm{KL}\big(p_\text{true} \,\|\, p(\cdot\,; \mathbf w)\big) \quad\text{is estimated by}\quad \arg\max_{\mathbf w} \frac1N \sum_{i=1}^N \log p(\mathbf x_i; \mathbf w).$$
#
# That is **maximum likelihood**: choose the parameters under which the images that were seen are most likely. Minimising a divergence from something unknown has become maximising a sum over known images, and sums over images are what
# we can do with minibatches and gradients. Here it is for images of a single number, with the decoder $f(z; w) = w z$ and noise of standard deviation 0.6, for which the integral can be done on paper: $x$ is a sum of two normal numbers, so $p(x; w) = \mathcal N(x; 0, w^2 + 0.6^2)$.


# %%
@look.drawn
def likelihood_of_a_line(true_weight=1.2, noise=0.6, number=300):
    """Left data and three models of them; right the mean log likelihood against the decoder's weight."""
    rng = np.random.default_rng(3)
    true_variance = true_weight**2 + noise**2
    data = rng.normal(0, true_variance**0.5, number)
    x = np.linspace(-5, 5, 300)
    figure = look.canvas(look.WIDTH, 3.5)
    left, right = figure.subplots(1, 2)
    left.hist(data, 30, density=True, color="#d5d5d5", label=f"{number} data from p_true")
    for weight, line, colour in ((0.3, ":", "#8a6d00"), (true_weight, "-", "black"), (3.0, "--", "#5a3e85")):
        variance = weight**2 + noise**2
        left.plot(
            x,
            np.exp(-(x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance),
            line,
            color=colour,
            label=f"p(x; w = {weight:g})",
        )
        right.plot(
            weight, -0.5 * ((data**2).mean() / variance + np.log(2 * np.pi * variance)), "o", color=colour, zorder=3
        )
    left.set(xlabel="x", ylabel="density", ylim=(0, 0.95))
    left.legend(fontsize="small", loc="upper right")
    weights = np.linspace(0, 3.5, 300)
    variances = weights**2 + noise**2
    mean_log = -0.5 * ((data**2).mean() / variances + np.log(2 * np.pi * variances))
    exact = -0.5 * (true_variance / variances + np.log(2 * np.pi * variances))
    ceiling = -0.5 * (1 + np.log(2 * np.pi * true_variance))
    right.axhline(ceiling, color="#009E73", linestyle="--", linewidth=1.2, label="p_true itself")
    right.fill_between(weights, exact, ceiling, color="#009E73", alpha=0.15, linewidth=0, label="KL(p_true || p)")
    right.plot(weights, mean_log, color="black", label="mean over the data")
    right.set(xlabel="w, the decoder's weight", ylabel="log p(x; w), nats per datum", ylim=(-3.2, -1.2))
    right.legend(fontsize="small", loc="lower center", ncols=1)
    return figure


lesson.show(likelihood_of_a_line())

# %% [markdown]
# The three dots are the three models on the left. The best weight is where model and data have the same spread, and the distance below the dashed line is the divergence (up to the chance in 300 data).
#
# One word of care, for images. Their pixels are stored as one of 256 levels, and we treat them as real numbers. What a normal noise model gives is then a *density* of pixels in $[0, 1]$, in nats per image; it can be above zero, it depends on the scale of the pixels, and it is not the
# log-likelihood of the stored 8-bit data. It serves to compare models of the same data on the same scale.

# %% [markdown] section="5" title="The integral is the trouble" minutes=9
# So all we need is $\log p(\mathbf x; \mathbf w)$ for each image. But there is an integral over $\mathbf z$ in it, and $f$ is a network: no formula will do it. Ten points along each axis would be $10^K$ decodings for one image: for $K = 20$, more than there are grains
# of sand on Earth. What is left is chance. The integral is an *average over the prior*, and an average can be estimated from draws:
#
# $$p(\mathbf x) = \mathbb E_{p(\mathbf z)}\big[p(\mathbf x \mid \mathbf z)\big] \approx \frac1S \sum_{s=1}^S p(\mathbf x \mid \mathbf z_s), \qquad \mathbf z_s \sim p(\mathbf z).$$
#
# In a program mind one thing. $\log p(\mathbf x \mid \mathbf z)$ is easily $-2{,}000$ nats, and $e^{-2000}$ is 0 for a computer, whose logarithm is $-\infty$. So one never leaves the logarithms: take out the largest term $m$ first,
#
# $$\log \frac1S \sum_s e^{\ell_s} = m + \log \sum_s e^{\ell_s - m} - \log S, \qquad \ell_s = \log p(\mathbf x \mid \mathbf z_s),\quad m = \max_s \ell_s.$$
#
# Now the largest exponential is 1, and nothing bad can happen. `torch.logsumexp` does just this.
#
# **Exercise: `log_evidence_by_sampling`.** It gets a function `log_likelihood`, which gives the $\ell_s$ `[number]` of codes `[number, latent_dim]`. Draw from the prior, and return the logarithm of the *mean* of the likelihoods.


# %% exercise="log_evidence_by_sampling"
def log_evidence_by_sampling(log_likelihood, latent_dim: int, number: int) -> Tensor:
    """log p(x) in nats, estimated from so many draws of the prior N(0, I)."""
    # BEGIN SOLUTION
    #> codes = ...
    #> return ...    # log of the mean of exp(log_likelihood(codes)): stable
    codes = torch.randn(number, latent_dim)
    return torch.logsumexp(log_likelihood(codes), 0) - math.log(number)
    # END SOLUTION


# %%
log_evidence_by_sampling = lesson.check("log_evidence_by_sampling", log_evidence_by_sampling)

# %% [markdown]
# Does it work? Try it where the answer is known: $K$ codes, images of $K$ values, the decoder $f(\mathbf z) = \mathbf z$, and noise of standard deviation 0.3. Then $\mathbf x$ has independent components with variance $1 + 0.3^2$, and
# $\log p(\mathbf x)$ is a sum of $K$ normal log densities.
#
# Beside the estimate we watch how many draws really count. If the $S$ likelihoods are all alike, all draws count; if one of them outweighs all others, the estimate stands on that one draw. The **effective number of draws**
# $\big(\sum_s p_s\big)^2 / \sum_s p_s^2$, with $p_s = p(\mathbf x \mid \mathbf z_s)$, is $S$ in the first case and 1 in the second.


# %%
def log_normal(value, mean, sigma):
    """log N(value; mean, sigma squared I), summed over the last axis, nats."""
    return -0.5 * (((value - mean) / sigma) ** 2 + math.log(2 * math.pi * sigma**2)).sum(-1)


def effective_number(log_weights):
    """How many equal weights would scatter as much as these, whose logarithms are given."""
    return float((2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0)).exp())


def try_dimensions(dimensions, number, repeats=10, noise=0.3):
    """Errors of the estimate in nats and effective numbers of draws, both [dimensions, repeats]."""
    errors, effective = np.zeros((2, len(dimensions), repeats))
    for row, dimension in enumerate(dimensions):
        for repeat in range(repeats):
            x = (1 + noise**2) ** 0.5 * torch.randn(dimension)  # a draw from the model
            seen = []

            def log_likelihood(codes, x=x, seen=seen):
                seen.append(log_normal(x, codes, noise))
                return seen[-1]

            estimate = log_evidence_by_sampling(log_likelihood, dimension, number)
            errors[row, repeat] = estimate - log_normal(x, torch.zeros(dimension), (1 + noise**2) ** 0.5)
            effective[row, repeat] = effective_number(seen[-1])
    return errors, effective


torch.manual_seed(0)
dimensions, draws = [1, 2, 3, 5, 7, 10, 14, 20, 30], lesson.steps(fast=10_000, full=100_000)
errors, effective = try_dimensions(dimensions, draws)


@look.drawn
def in_many_dimensions(dimensions, draws, errors, effective):
    """Error of the estimate and effective number of draws, against the number of dimensions."""
    figure = look.canvas(look.WIDTH, 3.5)
    left, right = figure.subplots(1, 2)
    left.axhline(0, color="#009E73", linestyle="--", label="log p(x), exactly")
    left.plot(
        np.repeat(dimensions, errors.shape[1]),
        errors.ravel(),
        "o",
        color="black",
        markersize=3,
        alpha=0.5,
        label="estimates, one image each",
    )
    left.plot(dimensions, errors.mean(1), color="black", linewidth=1.2, label="their mean")
    left.set(xlabel="K, dimensions of z", ylabel="error of the estimate, nats")
    left.legend(loc="lower left", fontsize="small")
    right.plot(
        dimensions,
        np.exp(np.log(effective).mean(1)),
        "o-",
        color="black",
        markersize=4,
        label="of one estimate, typically",
    )
    right.axhline(draws, color=look.QUIET, linestyle=":", label=f"draws made: {draws:,}")
    right.axhline(1, color="#009E73", linestyle="--", label="a single draw")
    right.set(yscale="log", xlabel="K, dimensions of z", ylabel="effective number of draws", ylim=(0.6, draws * 3))
    right.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    right.minorticks_off()
    right.legend(loc="upper right", fontsize="small", bbox_to_anchor=(1, 0.93))
    return figure


lesson.show(in_many_dimensions(dimensions, draws, errors, effective))

# %% [markdown]
# In one or two dimensions this is a fine method. Then the effective number falls in a straight line on a logarithmic axis: each further dimension costs the same *factor*, since in each the posterior is a few times narrower than the prior. When there is about
# one draw left, the estimate is nothing but the luckiest draw, and it lies far below the truth, nearly always. (It is never above in the mean: the logarithm of a mean is at least the mean of the logarithms. Remember this; it comes back.)
#
# Ten times as many draws buy one or two dimensions more. And for images the noise is small and $P$ is large, so each dimension is far narrower than here. The next cell asks our decoder about six test images, with $\sigma_x$ the square root of its
# own mean squared error, and shows the best of all draws.

# %%
sigma = test_mse**0.5
number = lesson.steps(fast=2000, full=50_000)
six = x_test[:6].flatten(1)


def log_likelihood_of(x):
    """The function codes [n, K] to log p(x|z) [n] of one image."""
    return lambda codes: in_parts(
        lambda part: log_normal(x.to(part.device), model.decode(part).flatten(1), sigma), codes
    )


torch.manual_seed(0)
for run in range(1, 4):
    print(
        f"run {run}: log p(x) of the first image from {number:,} draws: {float(log_evidence_by_sampling(log_likelihood_of(six[0]), K, number)):10.1f} nats"
    )
z = torch.randn(number, K)
log_weights = torch.stack([log_likelihood_of(x)(z) for x in six])  # [6, number]
print("effective number of draws for each image:", ", ".join(f"{effective_number(row):.1f}" for row in log_weights))
at_code = torch.stack([log_likelihood_of(x)(code[None])[0] for x, code in zip(six, test_codes[:6], strict=True)])
print("log p(x|z) of the best draw:             ", ", ".join(f"{value:.0f}" for value in log_weights.amax(1)))
print("log p(x|z) at the encoder's code:        ", ", ".join(f"{value:.0f}" for value in at_code))
best_draws = in_parts(model.decode, z[log_weights.argmax(1)])
from_encoder = in_parts(model.decode, test_codes[:6])
lesson.show(
    figures.reconstructions(
        x_test[:6].numpy(), {"encoder's code": from_encoder.numpy(), f"best of {number:,}": best_draws.numpy()}
    )
)

# %% [markdown]
# The estimates of one and the same number differ by many nats from run to run, because each stands on one draw. The encoder's code is hundreds or thousands of nats better than the best draw: that is where the integral gets nearly all of its value, and no draw came near.
# A needle in a haystack. For *learning* it is worse still: the gradient would come from one lucky code that does not even look like the image.

# %% [markdown] response="effective_draws"
# Read the slope off your right-hand panel: by about what factor does one more dimension divide the effective number of draws? How many draws would you need for $K = 50$ to have 100 effective ones?

# %% [markdown] section="6" title="Where to search" minutes=3
# We know what we want, $\sum_i \log p(\mathbf x_i; \mathbf w)$ as high as possible, and we cannot compute it. But the last figure also holds the hint: for a given image, someone who has *looked at it* knows where to search. The encoder always did. Let it put out, for each image, not a
# single code but a small region to draw codes from, a distribution $q(\mathbf z)$; then average over *its* draws in place of the prior's. What one gets is not $\log p(\mathbf x)$ itself but a bound that never exceeds it, and that can be maximised. The next lesson derives it.

# %% [markdown] discuss="density_or_picture"
# A model with high likelihood puts no image of the world at low density. Does that make the images that it *generates* good? And can a model make beautiful images and have a miserable likelihood? Look for an example of each (think of a model that has learned one image by heart,
# and of one that mixes good images with pure noise: what does half noise cost in nats?).
