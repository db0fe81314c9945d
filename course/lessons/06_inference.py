# ---
# lesson:
#   id: "06"
#   title: The ELBO at work
#   goals:
#     - say what the ELBO does when phi moves, and what it does when the weights move
#     - find q(z) for one image by gradient ascent, and check it where the exact posterior is known
#     - read q beside the code that an encoder gives, with its spread
#     - tell a strict sigma from a lax one by the width of q and by what its draws decode to
#   references:
#     - "Jordan, Ghahramani, Jaakkola & Saul, 1999, An introduction to variational methods for graphical models, https://doi.org/10.1023/A:1007665907178"
#     - "Neal & Hinton, 1998, A view of the EM algorithm that justifies incremental, sparse, and other variants, https://doi.org/10.1007/978-94-011-5014-9_12"
#     - "Kingma & Ba, 2015, Adam: a method for stochastic optimization, https://arxiv.org/abs/1412.6980"
#     - "Kingma & Welling, 2014, Auto-encoding variational Bayes, https://arxiv.org/abs/1312.6114"
#     - "Tipping & Bishop, 1999, Probabilistic principal component analysis, https://doi.org/10.1111/1467-9868.00196"
#     - "Cremer, Li & Duvenaud, 2018, Inference suboptimality in variational autoencoders, https://arxiv.org/abs/1801.03558"
# ---

# %% [markdown] section="1" title="One number, two uses" minutes=6
# Lesson 5 ended with one number per image, the ELBO, and with two ways to write it. One splits it into two terms,
#
# $$\text{ELBO}(\mathbf x, \phi, \mathbf w) = {\color{#0072B2}{\mathbb E_{q(\mathbf z; \phi)} \log p(\mathbf x \mid \mathbf z; \mathbf w)}} -
# {\color{#D55E00}{\mathrm{KL}\big(q(\mathbf z; \phi) \,\|\, p(\mathbf z)\big)}},$$
#
# the reconstruction in blue and the divergence from the prior in vermilion. That is how it is computed. The other says what it means:
#
# $$\text{ELBO}(\mathbf x, \phi, \mathbf w) = \log p(\mathbf x; \mathbf w) - \mathrm{KL}\big(q(\mathbf z; \phi) \,\|\, p(\mathbf z \mid \mathbf x; \mathbf w)\big).$$
#
# Here $\mathbf x$ is an image, $\mathbf z$ a code of $K$ numbers, $\phi = (\mu_1, \ldots, \mu_K, \log\sigma)$ the parameters of $q$, and
# $\mathbf w$ the decoder's weights. Two sets of numbers can be moved to raise the ELBO, and each solves a problem of its own.
#
# - **Move $\phi$.** The first term of the second line has no $\phi$ in it: it stays. So the ELBO can only rise because the divergence falls,
#   and $q$ comes closer to the true posterior $p(\mathbf z \mid \mathbf x; \mathbf w)$. This is *inference*. It is the answer to the haystack of
#   lesson 4: it finds the few codes that matter for this image, and it does what an encoder does, except that it gives a distribution.
# - **Move $\mathbf w$.** Then $\log p(\mathbf x; \mathbf w)$ can rise, too, and the decoder becomes a better *model* of the images: one that is more likely
#   to draw such an image out of thin air. This is *learning*.
#
# In this lesson nobody trains a VAE. We take the plain convolutional autoencoder from lesson 2, which has never heard of a
# distribution, keep its decoder, and do inference by hand: one image, $K + 1$ numbers, and a gradient.

# %%
import time

import numpy as np
import torch
from torch import Tensor

from lowerbound import ascent, course, figures, look
from lowerbound.pca import PCA

ConvAutoencoder = lesson.piece("ConvAutoencoder")
train_autoencoder = lesson.piece("train_autoencoder")
rsample = lesson.piece("rsample")
log_p_x = lesson.piece("log_p_x")
kl_closed_form = lesson.piece("kl_closed_form")
elbo = lesson.piece("elbo")

K = min(lesson.suggested_k, len(lesson.train) - 1)
torch.manual_seed(6)
conv_ae = ConvAutoencoder(lesson.image_shape, K, filter_size=lesson.filter_size)
lesson.fast_start(conv_ae, lesson.train.pixels, K)
conv_ae.to(lesson.device)
losses = train_autoencoder(conv_ae, lesson.train.pixels, epochs=lesson.epochs(fast=4, full=20), batch_size=100 if lesson.full else 50)
conv_ae.to(lesson.device).requires_grad_(requires_grad=False)  # from here on its weights are only read

# %%
def array(tensor):
    """A tensor as NumPy has it, wherever it was computed."""
    return tensor.detach().cpu().numpy()


few = course.floats(lesson.test.pixels[:7]).to(lesson.device)  # [7, C, H, W] in [0, 1]
decoded = conv_ae.decode(conv_ae.encode(few))
error = float(((decoded - few) ** 2).mean())
lesson.show(figures.reconstructions(array(few), {"conv": array(decoded)}, k=K))
print(f"mean squared error per pixel of these images {error:.4f}, so a typical miss is {error**0.5:.2f} of the range from black to white")

# %% [markdown] section="2" title="Climbing on phi" minutes=10
# The recipe is short. Begin with $q$ at the prior, which knows nothing: all of $\phi$ at zero, so $\boldsymbol\mu = \mathbf 0$ and $\sigma = e^0 = 1$.
# Then, again and again:
#
# 1. estimate the ELBO of the image from a few draws of $q$;
# 2. take its gradient with respect to $\phi$;
# 3. take a step *upwards*.
#
# `rsample` made step 2 possible: its draws are $\boldsymbol\mu + \sigma\,\boldsymbol\varepsilon$, so the gradient finds its way through the decoder and through the draw to $\phi$.
# Step 3 is Adam's. Adam lowers what it is given, so it is given the *negative* ELBO; and it divides each gradient by its usual size, so
# each component of $\phi$ moves by about one `rate` per step, whatever the scale of the ELBO. From zero to a code of 3 it takes
# at least $3 / 0.05 = 60$ steps with a rate of 0.05, and 3,000 with 0.001: the rate says how long to wait.
#
# **Exercise.** Write `infer_phi`. It gets a batch of images and finds a $\phi$ for each of them; the ELBO of one image does not depend on another one's $\phi$,
# so their sum can be climbed at once. It gives back $\phi$, and the mean ELBO per image at every step.

# %% exercise="infer_phi"
def infer_phi(
    x: Tensor, decode, sigma: float, latent_dim: int, steps: int, number: int = 16, rate: float = 0.05
) -> tuple[Tensor, list[float]]:
    """Climb on phi: gives phi [b, K+1] of images [b, C, H, W], and the mean ELBO at every step, nats per image."""
    # BEGIN SOLUTION
    #> phi = ...      # zeros [b, K+1] on x's device, which want a gradient
    #> adam = ...     # torch.optim.Adam of phi alone, with this rate
    #> curve = []
    #> for each step:
    #>     bound = ...    # of each image, with so many draws: elbo(x, phi, decode, sigma, number)
    #>     ...            # clear the gradient, take the new one, step: up, not down
    #>     ...            # note the mean bound as a plain number
    #> return ...     # phi without its gradient: phi.detach()
    phi = torch.zeros(len(x), latent_dim + 1, device=x.device, requires_grad=True)
    adam = torch.optim.Adam([phi], lr=rate)
    curve = []
    for _ in range(steps):
        bound = elbo(x, phi, decode, sigma, number)  # [b] nats
        adam.zero_grad()
        (-bound.sum()).backward()
        adam.step()
        curve.append(bound.mean().item())
    return phi.detach(), curve
    # END SOLUTION

# %%
infer_phi = lesson.check("infer_phi", infer_phi)

# %% [markdown]
# **Does it find the right thing?** For most decoders nobody knows the exact posterior. For one kind everybody does: a *linear* decoder, the
# probabilistic PCA of lesson 5. With two components of your images, $\mathbf z$ has two numbers and everything can be drawn. The posterior is normal; along
# component $k$ it has the standard deviation $\sqrt{s^2 / \lambda_k}$, where $\lambda_k$ is the variance of your images along it and $s^2$ the variance of what is left out.
# And $\log p(\mathbf x)$ is exact, so we see how far below it the ELBO stays.

# %%
pca = PCA(2).fit(lesson.train.pixels)
noise = pca.noise_variance**0.5  # s
loadings = torch.from_numpy(pca.components * np.sqrt(np.maximum(pca.variances[:2] - noise**2, 0))[:, None]).float()
middle = torch.from_numpy(pca.mean).float()


def decode_linear(codes):
    """Images [..., C, H, W] of codes [..., 2]: the mean image and two directions."""
    return (middle + codes @ loadings).unflatten(-1, lesson.image_shape)


image = course.floats(lesson.test.pixels[:1])
exact_spread = np.sqrt(noise**2 / pca.variances[:2])
exact_mean = array((image.flatten(1) - middle) @ loadings.T)[0] / pca.variances[:2]
exact_evidence = float(pca.score_samples(lesson.test.pixels[:1])[0])
torch.manual_seed(0)
phi, climb = infer_phi(image, decode_linear, noise, 2, steps=lesson.steps(fast=300, full=1000), number=64)


@look.drawn
def against_the_exact(phi, climb):
    """The ELBO below log p(x); where q began and came to; and, closer, q's circle on the posterior's ellipse."""
    figure = look.canvas(look.WIDTH, 3.2)
    left, whole, close = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    colour = look.model_style("vae").colour
    left.plot(np.arange(1, len(climb) + 1), climb, color=colour, label="ELBO")
    left.axhline(exact_evidence, color="black", linestyle="--", linewidth=1.2, label=f"log p(x): {exact_evidence:.2f}")
    late = climb[len(climb) // 8 :]
    room = max(exact_evidence - min(late), 1.0)
    left.set(xlabel="step", ylabel="nats", title="The ELBO climbs to log p(x)", ylim=(exact_evidence - 1.15 * room, exact_evidence + 0.25 * room))
    left.legend(loc="lower right", fontsize="small")
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    whole.plot(*circle, color=look.QUIET, linestyle=":", label="the prior")
    for axes in (whole, close):
        axes.plot(*(exact_mean[:, None] + exact_spread[:, None] * circle), color="black", linestyle="--", label="exact")
        axes.plot(*(phi[:2, None] + np.exp(phi[2]) * circle), color=colour, label="q found")
        axes.set(xlabel="z₁", ylabel="z₂")
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.15)
    close.plot(*exact_mean, "+", color="black", markersize=9)
    close.plot(*phi[:2], ".", color=colour, markersize=9)
    whole.set_title("One standard deviation")
    close.set_title("... and closer")
    whole.margins(0.35)
    whole.legend(fontsize="x-small", loc="upper left")
    return figure


lesson.show(against_the_exact(array(phi[0]), climb))
last = float(np.mean(climb[-20:]))
print(f"mean: exact ({exact_mean[0]:.3f}, {exact_mean[1]:.3f}), found ({phi[0, 0]:.3f}, {phi[0, 1]:.3f})")
print(f"standard deviation: exact {exact_spread[0]:.3f} and {exact_spread[1]:.3f}, found {phi[0, 2].exp():.3f} for both")
print(f"log p(x) {exact_evidence:.2f} nats, ELBO {last:.2f}: the gap is {exact_evidence - last:.2f}")

# %% [markdown]
# A circle on an ellipse: our $q$ has one spread for all directions, the posterior may have several. What is left of the gap is $\mathrm{KL}(q \,\|\, p(\mathbf z \mid \mathbf x))$ for the
# best circle there is, and no number of steps removes it. (A little of it may be the trembling of Adam's last steps, for each gradient comes from a few draws.) (With a spread for each dimension, $2K$ numbers instead of $K + 1$, it would be gone here.)

# %% [markdown] section="3" title="q beside the encoder's code" minutes=7
# Now the decoder that has no formula for its posterior. One test image; the noise is set by hand to $\sigma_x = 0.1$, about the size of the
# autoencoder's own misses. (On pixels in $[0, 1]$; a pixel that is off by 0.1 costs $0.1^2 / (2 \cdot 0.1^2) = 0.5$ nats.)
#
# The long recipe takes 4,000 steps at a rate of 0.001. Here 300 steps at 0.05 do; `full=True` at the top of the notebook brings the long one.

# %%
x = course.floats(lesson.test.pixels[:1]).to(lesson.device)
rate = 1e-3 if lesson.full else 0.05
steps = lesson.steps(fast=300, full=4000)

torch.manual_seed(0)
began = time.perf_counter()
phi, climb = infer_phi(x, conv_ae.decode, 0.1, K, steps, rate=rate)
seconds = time.perf_counter() - began
h = conv_ae.encode(x)  # what the encoder would have said


@torch.no_grad()
def both_terms(x, phi, sigma, number=256):
    """Reconstruction and KL of each image, nats: the two terms of the ELBO."""
    return log_p_x(x, conv_ae.decode(rsample(phi, number)), sigma).mean(1), kl_closed_form(phi)


# The same seed takes the same way, so a climb that stops early is the beginning of a longer one.
stops = [stop for stop in (1, 3, 10, 30, 100) if stop < steps] + [steps]
path = [torch.zeros(1, K + 1, device=x.device)]
for stop in stops[:-1]:
    torch.manual_seed(0)
    path.append(infer_phi(x, conv_ae.decode, 0.1, K, stop, rate=rate)[0])
path.append(phi)
terms = np.array([[float(term) for term in both_terms(x, each, 0.1)] for each in path])  # [stops + 1, 2]


@look.drawn
def the_climb(climb, stops, terms):
    """The ELBO at every step; the two terms at some of them."""
    figure = look.canvas(look.WIDTH, 3.7)
    left, *right = figure.subplot_mosaic([["elbo", "reconstruction"], ["elbo", "kl"]], width_ratios=(1.3, 1)).values()
    left.plot(np.arange(1, len(climb) + 1), climb, color=look.model_style("vae").colour)
    late = climb[len(climb) // 20 :]
    left.set(xlabel="step", ylabel="ELBO, nats per image", title="Climbing on φ", ylim=(min(late) - 0.1 * np.ptp(late), max(late) + 0.1 * np.ptp(late)))
    words = (("reconstruction", look.RECONSTRUCTION), ("KL from the prior", look.KL))
    for axes, (name, colour), values in zip(right, words, terms.T, strict=True):
        axes.plot([0, *stops], values, "o-", color=colour)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks([0, *stops], [f"{stop:,}" for stop in (0, *stops)])
        axes.set_yscale("linear")
        axes.set_ylabel("nats")
        axes.set_title(f"{name}: {values[0]:.0f} → {values[-1]:.0f} nats", color=colour, fontsize="medium")
    right[-1].set_xlabel("step")
    return figure


lesson.show(the_climb(climb, stops, terms))
print(f"{steps} steps took {seconds:.1f} s: the ELBO went from {terms[0, 0] - terms[0, 1]:.0f} to {terms[-1, 0] - terms[-1, 1]:.0f} nats")

# %% [markdown]
# At the start $q$ is the prior: the divergence is zero, and the reconstruction, averaged over draws that know nothing of the image, is miserable. Then the climb *buys* reconstruction
# and pays with divergence, as long as a nat spent brings more than a nat. Mind the two scales.
#
# Was it a good purchase? Nobody told the climb about the encoder. Let us put side by side what both say about the same image.

# %%
def show_codes(phi, number=60):
    """q beside the encoder's code, with draws."""
    spread = phi[0, -1].exp().item()
    draws = array(rsample(phi, number)[0])
    lesson.show(ascent.codes(array(h[0]), array(phi[0, :-1]), spread**2 * np.eye(K), draws=draws))


show_codes(phi)
apart = float((phi[:, :-1] - h).norm() / h.norm())
own = torch.cat([h, phi[:, -1:]], 1)  # q around the encoder's h, as wide as the one found
at_h, at_q = (float(a - b) for a, b in (both_terms(x, each, 0.1) for each in (own, phi)))
print(f"q's mean and h are {apart:.0%} of h's length apart; q's spread is {phi[0, -1].exp():.3f}")
print(f"ELBO of q around h {at_h:.1f} nats, of the q found {at_q:.1f} nats")

# %% [markdown]
# Close, and not the same. $q$ found the region that the encoder knew, from the decoder and the image alone. Two things keep them apart. The encoder was
# trained on *all* images and is a compromise for each single one, while $\phi$ had this image to itself. And $q$ pays for every step away from zero: the prior pulls
# its mean inwards, a price that the autoencoder never had to pay.

# %% [markdown] response="q_beside_h"
# Look at the bars of $q$ and the squares of $h$ in the figure. Where they differ by more than the bars, what does that say: is the encoder wrong, is $q$ wrong, or are
# both codes good for the image? How would you find out?

# %% [markdown] section="4" title="Strict and lax" minutes=7
# How wide $q$ becomes is decided by $\sigma_x$, the noise that we allow on the pixels.
#
# - With a **strict**, small $\sigma_x$ a pixel must be right: a code that is a little off costs many nats. Only a small region of codes will do, and $q$ becomes narrow.
# - With a **lax**, large $\sigma_x$ misses pass as noise. A wide region of codes is good enough, and $q$ becomes wide, for width is cheap:
#   ${\color{#D55E00}{\mathrm{KL}}}$ falls as $q$ approaches the prior.
#
# For a linear decoder that is a formula. With $s$ the length that one unit of the code adds to the image, the posterior's spread is $\sigma_x / \sqrt{s^2 + \sigma_x^2}$: proportional to $\sigma_x$
# while it is small, and never above the prior's 1.
#
# Before you run the cell: how will the five draws in the row of 0.5 differ from those in the row of 0.1?

# %%
found, rows = {}, {}
for sigma in (0.1, 0.5):
    torch.manual_seed(1)
    found[sigma] = infer_phi(x, conv_ae.decode, sigma, K, steps, rate=rate)[0]
    mean_image = conv_ae.decode(found[sigma][:, :-1])[0]
    draws = conv_ae.decode(rsample(found[sigma], 5))[0]  # [5, C, H, W]
    rows[f"σ = {sigma:g}, {'strict' if sigma < 0.3 else 'lax'}"] = (array(mean_image), array(draws))
lesson.show(ascent.reconstructions(array(x[0]), array(conv_ae.decode(h)[0]), rows))
for sigma, phi in found.items():
    reconstruction, kl = (float(term) for term in both_terms(x, phi, sigma))
    width, length = float(phi[0, -1].exp()), float(phi[0, :-1].norm())
    print(f"sigma_x {sigma:g}: q is {width:.3f} wide, {length:.2f} from zero; KL {kl:.1f} nats, reconstruction {reconstruction:.1f}, ELBO {reconstruction - kl:.1f}")

# %%
@look.drawn
def widths(found):
    """q of both noises, dimension by dimension."""
    figure = look.canvas(look.WIDTH, 3.4)
    axes = figure.subplots()
    place = np.arange(1, K + 1)
    axes.axhline(0, color="#8c8c8c", linewidth=0.8)
    axes.plot(place, array(h[0]), "s", color="#262626", markersize=4, label="encoder's h")
    for (sigma, phi), colour, shift in zip(found.items(), ("#CC79A7", "#56B4E9"), (-0.2, 0.2), strict=True):
        spread = 2 * phi[0, -1].exp().item()
        axes.errorbar(place + shift, array(phi[0, :-1]), yerr=spread, fmt="o", markersize=3.5, color=colour, label=f"q, σ = {sigma:g}")
    axes.set(xlabel="dimension k of the code", ylabel="value of the code", title="Mean and two standard deviations of q", xlim=(0.3, K + 0.7), xticks=place if K <= 10 else place[4::5])
    axes.margins(y=0.2)
    axes.legend(ncols=3, loc="upper center", fontsize="small")
    return figure


lesson.show(widths(found))

# %% [markdown]
# All draws of one row are *different images of the same thing*: that is what having a distribution means. A set of codes, each a plausible explanation of $\mathbf x$. In the strict
# row you may have to look twice to find the differences; in the lax row they are plain, and the image's finer features are already open to debate. The means move, too: where misses are cheap, the prior's pull wins, and
# $q$ lies nearer to zero.
#
# Do not compare the two ELBOs to say which $q$ is better: another $\sigma_x$ is another model, and each $q$ is good for its own. What may be compared are the two *models*: the one whose ELBO is higher
# explains this image better. Which is it? And there is a best $\sigma_x$ in between; the next section finds it.

# %% [markdown] discuss="strict_or_lax"
# Try the cell above again with another image, and with $\sigma_x = 0.02$ and $1$. Compare in your group: at which $\sigma_x$ do the draws stop showing the image? Whose data set is more forgiving?
# Is a wide $q$ a good or a bad thing, when you want to *reconstruct* an image? When you want to *generate* one?

# %% [markdown] section="5" title="The other knob: the weights" minutes=7
# So far $\phi$ moved and the model stood still. Now let both move, in turns, for a small set of images:
#
# - **$\phi$'s turn.** Climb on $\phi$ of all of these images, at fixed weights: $q$ approaches the posterior.
# - **the model's turn.** Keep every $\phi$ and climb on $\mathbf w$ and $\sigma_x$: the model improves for the codes that the images are now known to have.
#
# Neither turn can spoil what the other has won (but for the noise of the draws), for both climb the same number. With the exact posterior in the first turn this is the *EM algorithm* (Neal & Hinton, 1998); with a $q$ from a family it is called variational EM.
#
# For $\sigma_x$ no gradient is needed. Set the derivative of the ELBO with respect to $\sigma_x^2$ to zero and you get what lesson 5 found: the best $\sigma_x^2$ is the mean squared error
# of the draws' images. So the model's turn ends with that.

# %%
import copy

some = course.floats(lesson.train.pixels[:32]).to(lesson.device)  # a handful of training images
model, sigma = copy.deepcopy(conv_ae).requires_grad_(requires_grad=True), 0.3
phi = torch.zeros(len(some), K + 1, device=some.device, requires_grad=True)
turns, sigmas = [], [sigma]
climb_phi = torch.optim.Adam([phi], lr=0.05)
climb_weights = torch.optim.Adam(model.parameters(), lr=1e-3)
rounds, length = lesson.steps(fast=4, full=20), max(1, lesson.steps(fast=20, full=100) // 2)
torch.manual_seed(2)
for turn in course.track(range(2 * rounds), "taking turns"):
    whose = climb_phi if turn % 2 == 0 else climb_weights
    turns.append([])
    for _ in range(2 * length if turn == 0 else length):
        bound = elbo(some, phi, model.decode, sigma, 2).mean()
        climb_phi.zero_grad()
        climb_weights.zero_grad()
        (-bound).backward()
        whose.step()  # only the one whose turn it is
        turns[-1].append(bound.item())
    if turn % 2:
        with torch.no_grad():
            sigma = float(((model.decode(rsample(phi, 4)) - some[:, None]) ** 2).mean() ** 0.5)
    sigmas.append(sigma)


@look.drawn
def in_turns(turns):
    """The ELBO over all turns, coloured by whose turn it is."""
    figure = look.canvas(look.WIDTH, 3.5)
    axes, first = figure.subplots(), 0
    for number, values in enumerate(turns):
        colour, words = (look.model_style("vae").colour, "φ moves: inference") if number % 2 == 0 else ("#009E73", "the model moves: learning")
        axes.plot(np.arange(first, first + len(values)) + 1, values, color=colour, label=words if number < 2 else None, linewidth=2)
        axes.axvline(first + 0.5, color="#c8c8c8", linewidth=0.7)
        first += len(values)
    late = np.concatenate(turns)[3:]
    axes.set(xlabel="step", ylabel="mean ELBO, nats per image", title="Two knobs, one number", ylim=(late.min() - 0.05 * np.ptp(late), late.max() + 0.08 * np.ptp(late)))
    axes.legend(loc="lower right")
    return figure


lesson.show(in_turns(turns))
print("sigma_x after each turn of the model: " + ", ".join(f"{value:.3f}" for value in [sigmas[0], *sigmas[2::2]]))

# %% [markdown]
# Most of the leaps where a new turn of $\phi$ begins come from the new $\sigma_x$: a model that knows how good it is stops paying for noise that is not there. Keep that in mind for the next lesson,
# where $\sigma_x$ is learned along and hides everything else in the curve.
#
# Watch out for one thing: these ELBOs are of *training* images, 32 of them, and a decoder can learn 32 images by heart. Only images that it was not trained on can tell whether the model became better.

# %% [markdown] section="6" title="What a q costs" minutes=3
# How long did one image take? And how long would all of your training images take, every time that the weights have moved a little?

# %%
images = len(lesson.images.train)
print(f"{seconds:.1f} s for one image with {steps} steps; {images:,} images one by one: {images * seconds / 3600:,.1f} hours, for one turn of phi")

# %% [markdown]
# A batch shares some of the work, but the sum stays absurd: each image starts from zero, and nothing that was found out about one three helps with the next three. The way out is to let a *network* learn the map from
# $\mathbf x$ to $\phi$, over all images: a recognition model. It pays once, and then gives each $\phi$ in one pass. This is called *amortised* inference; it is the encoder's second life, and
# with it the pieces are complete. Lesson 7 puts them together.

# %% [markdown] response="two_uses"
# In your own words, to somebody who knows lesson 5 and missed this one: what happens when the ELBO is raised by moving $\phi$, and what when it is raised by moving $\mathbf w$? Why is the same number good for both?
