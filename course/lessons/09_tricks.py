# ---
# lesson:
#   id: "09"
#   title: The tricks behind the VAE, and two that came after it
#   goals:
#     - read the ELBO as the loss of a regularised autoencoder, and say where its weight comes from
#     - take the gradient of an expectation in two ways, and say why one of them is hundreds of times as noisy
#     - measure what an encoder's one guess costs against the best q of each image
#     - tighten the bound with several draws, and check it where log p(x) is known exactly
#     - let a plain autoencoder generate, by fitting a prior to its codes
#   references:
#     - "Kingma & Welling, 2014, Auto-encoding variational Bayes, https://arxiv.org/abs/1312.6114"
#     - "Rezende, Mohamed & Wierstra, 2014, Stochastic backpropagation and approximate inference in deep generative models, https://arxiv.org/abs/1401.4082"
#     - "MacKay, 1995, Bayesian neural networks and density networks, https://doi.org/10.1016/0168-9002(94)00931-7"
#     - "Dayan, Hinton, Neal & Zemel, 1995, The Helmholtz machine, https://doi.org/10.1162/neco.1995.7.5.889"
#     - "Jordan, Ghahramani, Jaakkola & Saul, 1999, An introduction to variational methods for graphical models, https://doi.org/10.1023/A:1007665907178"
#     - "Williams, 1992, Simple statistical gradient-following algorithms for connectionist reinforcement learning, https://doi.org/10.1007/BF00992696"
#     - "Mohamed, Rosca, Figurnov & Mnih, 2020, Monte Carlo gradient estimation in machine learning, https://arxiv.org/abs/1906.10652"
#     - "Mohamed, 2015, two posts on the reparameterisation and the log-derivative trick, http://blog.shakirm.com/2015/10/machine-learning-trick-of-the-day-4-reparameterisation-tricks/ and http://blog.shakirm.com/2015/11/machine-learning-trick-of-the-day-5-log-derivative-trick/"
#     - "Cremer, Li & Duvenaud, 2018, Inference suboptimality in variational autoencoders, https://arxiv.org/abs/1801.03558"
#     - "Burda, Grosse & Salakhutdinov, 2016, Importance weighted autoencoders, https://arxiv.org/abs/1509.00519"
#     - "Rainforth et al., 2018, Tighter variational bounds are not necessarily better, https://arxiv.org/abs/1802.04537"
#     - "Ghosh, Sajjadi, Vergari, Black & Schölkopf, 2020, From variational to deterministic autoencoders, https://arxiv.org/abs/1903.12436"
#     - "Dai & Wipf, 2019, Diagnosing and enhancing VAE models, https://arxiv.org/abs/1903.05789"
#     - "Tomczak & Welling, 2018, VAE with a VampPrior, https://arxiv.org/abs/1705.07120"
# ---

# %% [markdown] section="1" title="The ELBO is the loss of a regularised autoencoder" minutes=7
# A few good ideas, none of them long, turned a thirty-year-old piece of statistics into a network that anyone can train in
# a minute. You have used them all in the lessons before; here you take each of them out and look at what it does.
#
# **The first idea is to read the ELBO the way an engineer would.** With Gaussian pixel noise of standard deviation $\sigma$,
# an image $x$ of $P$ pixel values, the decoder $f$ and a code $z$ drawn from $q(z|x)$,
#
# $$-\mathrm{ELBO}(x)=\color{#0072B2}{\mathbb{E}_{q}\!\left[\frac{\lVert x-f(z)\rVert^2}{2\sigma^2}\right]+P\log\sigma+\frac P2\log 2\pi}
# \;+\;\color{#D55E00}{\mathrm{KL}\big(q(z|x)\,\|\,p(z)\big)}\quad\text{nats per image.}$$
#
# Hold $\sigma$ fixed and multiply by $2\sigma^2/P$. The constants fall away, and what is left is a loss that you trained in
# lesson 1, with something added:
#
# $$\color{#0072B2}{\text{mean squared error per pixel}}\;+\;\lambda\,\color{#D55E00}{\mathrm{KL}\big(q(z|x)\,\|\,p(z)\big)},\qquad \lambda=\frac{2\sigma^2}{P}.$$
#
# An autoencoder with a regulariser. People had regularised autoencoders before: with noise on the input, with penalties on
# weights, on slopes, on how many units are active. In all of them somebody had to choose how strong the penalty is. Here
# the probabilistic reading *says* how strong: $\lambda$ follows from the noise $\sigma$, and $\sigma$ itself is learned.
#
# **Where it comes from.** None of the ingredients was new. MacKay's density networks (1995) drew codes from a prior and put a
# network behind them. The Helmholtz machine (Dayan et al., 1995) trained a second network to guess the codes. Variational
# Bayes and the evidence lower bound were textbook matter by the end of the nineties (Jordan et al., 1999), mostly with
# updates derived by hand, model by model. In 2014 two groups (Kingma & Welling; Rezende, Mohamed & Wierstra) wrote the bound as
# *one* loss for an encoder and a decoder together and sent plain gradients through all of it. The title of the first of these
# papers says just that: *auto-encoding* variational Bayes.
#
# We need a convolutional autoencoder and a VAE with the same backbones and the same $K$. To have good ones quickly, we take
# lowerbound's own networks: about half a minute for each on a laptop. (The VAE starts where PCA ends. The autoencoder starts from
# random weights, as yours did, so that its codes lie where training happens to leave them.)

# %%
import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from lowerbound import course, estimators, figures, look, recipes, spread
from lowerbound.amortisation import infer_for
from lowerbound.fitted import fit_prior
from lowerbound.importance import log_weights
from lowerbound.linear import linear_vae
from lowerbound.pca import PCA
from lowerbound.progress import terminal


def fast_model(name, pixels, image_shape, latent_dim, epochs, start=None):
    """A model of lowerbound's own, trained: "conv" is an autoencoder, "vae" a VAE; ``start`` is a PCA to begin at."""
    torch.manual_seed(0)
    recipe = recipes.recipe(name)
    settings = recipe.settings(len(pixels), image_shape)
    model = recipe.build(image_shape, latent_dim, recipes.NETWORKS[recipes.DEFAULT], start)
    return model.fit(pixels, replace(settings, epochs=epochs(settings.epochs)), progress=terminal)


def how_long(usual):
    """Epochs: the recipe's own, three times as many in the full mode, one where a lesson is only tried."""
    return 1 if lesson.only_tried else round(usual) * (3 if lesson.full else 1)


K = lesson.suggested_k
autoencoder = fast_model("conv", lesson.train.pixels, lesson.image_shape, K, how_long)
print(f"an autoencoder with K = {K} numbers per image")

# %%
probabilistic_pca = PCA(K).fit(lesson.train.pixels)
vae = fast_model("vae", lesson.train.pixels, lesson.image_shape, K, how_long, start=probabilistic_pca)
print(f"a VAE with K = {K} numbers per image")

# %% [markdown]
# The same two terms, once in nats and once in the units of lesson 1:

# %%
test = lesson.test.pixels[:500]
P = math.prod(lesson.image_shape)
with torch.no_grad():
    x = course.floats(test)
    q = vae.encoder(x)
    z = q.rsample()
    image = vae.decoder(z)
    log_p_x_given_z = image.log_prob(x)
    kl = -0.5 * (1 + q.variance.log() - q.mean**2 - q.variance).sum(1)
    mse = float((image.mean - x).square().mean())
sigma = float(vae.gauges()["sigma"].detach())
print(f"learned sigma {sigma:.3f} of the range of a pixel, P = {P} values per image")
print(
    f"in nats:  reconstruction {float(log_p_x_given_z.mean()):9.1f}   - KL {float(kl.mean()):6.1f}   = ELBO {float((log_p_x_given_z - kl).mean()):9.1f}"
)
print(
    f"as a loss: mean squared error {mse:.5f} + lambda KL {2 * sigma**2 / P * float(kl.mean()):.5f}, lambda = {2 * sigma**2 / P:.2e}"
)

# %% [markdown]
# (All constants are in the ELBO; a number without $\tfrac P2\log 2\pi$, as some tutorials show it, is larger by that much. And a
# Gaussian density of 8-bit pixels is a density: it compares models of the same pixels, but it is not the log-probability of an
# image.)
#
# What does the regulariser do to the codes? A plain autoencoder may put them anywhere: a code is a private matter of its encoder
# and its decoder. The VAE pays $\color{#D55E00}{\mathrm{KL}}$ for every bit of distance from $p(z)=\mathcal N(0,I)$. Below, the codes of the
# same test images in two of their directions, each beside the circle in which 86.5 % of the prior's codes lie.


# %%
@look.drawn
def two_clouds(clouds, spreads):
    """Codes of each model on their two main axes with the prior's circle, and the spread along every axis."""
    figure = look.canvas(look.WIDTH, 3.3)
    axes = figure.subplots(1, 3)
    for place, (name, codes) in zip(axes, clouds.items(), strict=False):
        style = look.model_style(name)
        place.scatter(*codes.T, s=6, color=style.colour, alpha=0.5, linewidths=0)
        turn = np.linspace(0, 2 * np.pi, 200)
        place.plot(2 * np.cos(turn), 2 * np.sin(turn), color=look.KL, linewidth=2)
        reach = 1.05 * max(2.6, float(np.abs(codes).max()))
        place.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", adjustable="datalim", xlabel="first axis of the codes")
        place.set_title(f"codes of the {style.label}", fontsize="medium")
    axes[0].set_ylabel("second axis")
    axes[0].plot([], [], color=look.KL, label="two standard\ndeviations of p(z)")
    axes[0].legend(loc="upper left", fontsize="x-small")
    for name, along in spreads.items():
        style = look.model_style(name)
        axes[2].plot(
            range(1, len(along) + 1), along, color=style.colour, marker=style.marker, markersize=4, label=style.label
        )
    axes[2].axhline(1, color=look.KL, linewidth=2, label="p(z)")
    axes[2].set(xlabel="axis of the codes", ylim=(0, None))
    axes[2].set_title("standard deviation", fontsize="medium")
    axes[2].legend(fontsize="x-small", loc="best")
    return figure


test_codes = {"conv": autoencoder.transform(test), "vae": vae.draw(test)}
turned, along = {}, {}
for name, codes in test_codes.items():
    _, directions = np.linalg.eigh(np.cov(codes.T).reshape(codes.shape[1], -1))
    along[name] = (codes @ directions[:, ::-1]).std(axis=0)
    turned[name] = (
        (codes @ np.pad(directions[:, ::-1], ((0, 0), (0, 1)))[:, :2]) if K == 1 else codes @ directions[:, ::-1][:, :2]
    )
lesson.show(two_clouds(turned, along))

# %% [markdown]
# The VAE's cloud (one draw from $q(z|x)$ for each image) fills the circle, and in every direction its spread is of the order of 1: drawing
# $z\sim p(z)$ lands among codes that the decoder knows. The autoencoder's codes have whatever scale and place came out of training.

# %% [markdown] response="regulariser"
# $\lambda=2\sigma^2/P$. What happens to this loss, and to the codes, as $\sigma\to0$? And as $\sigma\to\infty$? Which models of the earlier
# lessons do you meet at the two ends?

# %% [markdown] section="2" title="A gradient through a random draw" minutes=10
# **The second idea you have used without a word about it.** Training needs the gradient, with respect to $\phi$, of an expectation
# *under* $q(z;\phi)$:
#
# $$\nabla_\phi\;\mathbb E_{q(z;\phi)}\big[f(z)\big].$$
#
# For the ELBO $f(z)=\log p(x|z)+\log p(z)-\log q(z;\phi)$. We estimate the expectation by drawing codes. But a draw is a roll of dice: how does one
# differentiate dice? Moving $\phi$ moves where the draws *land*, and a plain draw has forgotten where it came from. PyTorch is frank about it:

# %%
mean = torch.tensor([1.0], requires_grad=True)
q = Normal(mean, 0.5)
print("sample: ", q.sample(), "- a number without a past; requires_grad is", q.sample().requires_grad)
print("rsample:", q.rsample().detach(), "- a function of the mean;   requires_grad is", q.rsample().requires_grad)

# %% [markdown]
# `rsample` is the *reparameterised* sample (that is the r), the same that you wrote in lesson 5. It rolls dice that have nothing to do with
# $\phi$, $\epsilon\sim\mathcal N(0,I)$, and then *computes* the code from them, $z=\mu+\sigma\epsilon$. Now $z$ is a smooth function of $\phi$,
# the expectation is over $\epsilon$, and the gradient slips inside:
#
# $$\nabla_\phi\,\mathbb E_{q}[f(z)]=\mathbb E_{\epsilon}\big[\nabla_\phi f(\mu+\sigma\epsilon)\big]\qquad\text{(reparameterisation)}.$$
#
# Before 2014 the usual road was another one, and it is still the only one where $z$ is discrete or $f$ has no slope. It differentiates the
# density instead of the draw, with $\nabla q=q\,\nabla\log q$:
#
# $$\nabla_\phi\,\mathbb E_{q}[f(z)]=\int f(z)\,\nabla_\phi q(z;\phi)\,dz=\mathbb E_{q}\big[f(z)\;\nabla_\phi\log q(z;\phi)\big]\qquad\text{(score function, or REINFORCE)}.$$
#
# $\nabla_\phi\log q$ is called the *score*. Read it as trial and error: draw, see how good $f$ is, make good draws more likely. Notice what it
# never asks for: the slope of $f$.
#
# ### Exercise: a gradient from values alone
# For an isotropic normal $q$ with $\phi=(\mu_1,\ldots,\mu_K,\log\sigma)$ the score has two parts:
#
# $$\frac{\partial\log q}{\partial\mu}=\frac{z-\mu}{\sigma^2},\qquad \frac{\partial\log q}{\partial\log\sigma}=\frac{\lVert z-\mu\rVert^2}{\sigma^2}-K.$$
#
# Write the estimate from `number` draws. Your `f` takes codes $[number, K]$ and gives values $[number]$.


# %% exercise="score_function_gradient"
def score_function_gradient(f, phi: Tensor, number: int) -> Tensor:
    """Estimate the gradient of E_q f(z) by phi = (mu_1 ... mu_K, log sigma), ``[K + 1]``, from values of f alone."""
    mean, sigma = phi[:-1], phi[-1].exp()
    latent_dim = len(mean)
    # BEGIN SOLUTION
    #> away = ...            # z - mean of `number` draws from q, [number, K]
    #> by_mean = ...         # score for the mean, [number, K]
    #> by_log_sigma = ...    # score for log sigma, [number, 1]
    #> score = ...           # both side by side, [number, K + 1]
    #> return ...            # the mean over the draws of f(z) times the score
    away = sigma * torch.randn(number, latent_dim)
    z = mean + away
    by_mean = away / sigma**2
    by_log_sigma = away.square().sum(dim=1, keepdim=True) / sigma**2 - latent_dim
    score = torch.cat([by_mean, by_log_sigma], dim=1)
    return (f(z)[:, None] * score).mean(dim=0)
    # END SOLUTION


# %%
score_function_gradient = lesson.check("score_function_gradient", score_function_gradient)

# %% [markdown]
# **Is it right?** Take $f(z)=\lVert z-a\rVert^2$ in two dimensions. Its expectation is $\lVert\mu-a\rVert^2+2\sigma^2$, so the gradient is known:
# $2(\mu-a)$ for the mean and $4\sigma^2$ for $\log\sigma$. Both estimators get 2,000 single draws.


# %%
def reparameterised_gradient(f, phi, number):
    """The same gradient through the draw: z = mean + sigma * noise is differentiated by autograd."""
    phi = phi.clone().requires_grad_()
    z = phi[:-1] + phi[-1].exp() * torch.randn(number, len(phi) - 1)
    return torch.autograd.grad(f(z).mean(), phi)[0]


torch.manual_seed(0)
target = torch.tensor([3.0, 0.0])
phi = torch.tensor([0.0, 0.0, math.log(0.5)])


def distance(z):
    return (z - target).square().sum(dim=1)


exact = torch.cat([2 * (phi[:-1] - target), 4 * phi[-1:].mul(2).exp()])
ways = {"reparameterised": reparameterised_gradient, "score function": score_function_gradient}
single = {name: torch.stack([way(distance, phi, 1) for _ in range(2000)]).numpy() for name, way in ways.items()}
print(f"{'closed form':>18}: {exact.numpy().round(2)}")
for name, gradients in single.items():
    print(
        f"{name:>18}: {gradients.mean(axis=0).round(2)} on average; one draw scatters by {gradients.std(axis=0).round(2)}"
    )
lesson.show(
    spread.gradient_spread({name: gradients[:, 0] for name, gradients in single.items()}, component="the first mean")
)

# %% [markdown]
# Both are *unbiased*: their averages are the closed form. (The axis is stretched around the middle, else the upper histogram would be a line.)
# But a single draw of the score function is scattered far more widely. It sees only that $f$ is about 9 here, and must find out from many
# draws in which direction it falls; the reparameterised gradient is told the slope by each single draw.
#
# **And on a real ELBO?** There $f$ is hundreds of nats and $\phi$ has $K+1$ numbers. We take the $q$ that our VAE gives to one test image.

# %%
picture = test[:1]
draws = 2000 if lesson.steps(fast=300, full=4000) > 20 else 100
clouds = {
    name: estimators.gradients(vae, picture, how, draws=draws)[:, 0, 0]
    for name, how in estimators.ESTIMATORS.items()
    if name in ("reparameterised", "score function")
}
lesson.show(spread.gradient_spread(clouds, component="the first mean"))
ratio = (clouds["score function"].std() / clouds["reparameterised"].std()) ** 2
print(f"variance of the score function over that of the reparameterised gradient: {ratio:,.0f}")
print(f"so one draw of rsample tells the optimiser as much as about {ratio:,.0f} values without slopes")

# %% [markdown]
# Averages over more draws help both alike: the variance falls as one over their number. Cleverer score functions subtract a *baseline*, the mean
# of $f$ over the other draws, which changes no expectation; that buys back a good part. And *sticking the landing* (Roeder et al., 2017,
# https://arxiv.org/abs/1703.09194) leaves out a term of the reparameterised gradient that is zero on average.

# %%
numbers = (2, 4, 8, 16, 32)
repeats = 100 if draws > 100 else 10
found = {
    name: estimators.variances(vae, picture, how, draws=numbers, repeats=repeats).mean(axis=1)
    for name, how in estimators.ESTIMATORS.items()
}
lesson.show(spread.gradient_variance(numbers, found))

# %% [markdown] discuss="dice"
# Suppose each code were a choice among ten symbols instead of $K$ real numbers. Which of the two gradients still works, and why? What would you
# have to invent to use the other one?

# %% [markdown] section="3" title="Amortisation: one network in place of a search for each image" minutes=7
# **The third idea is laziness, well organised.** In lesson 6 you found $q$ for one image by hundreds of steps of gradient ascent on its $\phi$. For
# 60,000 images, at each step of training, that is hopeless. So the VAE pays once, for a network that maps *any* $x$ to a $\phi$. The cost is
# spread over all images that will ever come, as a loan is spread over years: the word for both is *amortisation*.
#
# There is a price. The encoder is right *on average* over the training images; for a single image another $\phi$ may be better. The difference
# in ELBO, best $q$ of the same family less the encoder's $q$, is the **amortisation gap**. We measure it: take images, start at the encoder's
# $\phi$, and climb as in lesson 6. To see what "on average" means, half of our images are upside down, which no training image was.

# %%
import time

number = 12 if draws > 100 else 3
upright = lesson.test.pixels[:number]
upside_down = np.ascontiguousarray(upright[:, :, ::-1])
began = time.perf_counter()
with torch.no_grad():
    vae.encoder(course.floats(upright))
encoder_seconds = (time.perf_counter() - began) / number
climbs = {
    "as in training": infer_for(vae, upright, steps=lesson.steps(fast=600, full=2000), progress=terminal),
    "upside down": infer_for(vae, upside_down, steps=lesson.steps(fast=600, full=2000), progress=terminal),
}
for words, climb in climbs.items():
    print(
        f"{words:>15}: the encoder's q is {np.median(climb.gap):.1f} nats below the best one (median of {number} images)"
    )
print(
    f"per image: the encoder {1000 * encoder_seconds:.2f} ms, the climb {1000 * climbs['as in training'].found.seconds / number:.0f} ms"
)


# %%
@look.drawn
def guesses(pairs, pictures):
    """The ELBO of the encoder's q and of the best one, image by image, the image beneath."""
    figure = look.canvas(look.WIDTH, 4.0)
    grid = figure.add_gridspec(2, len(pairs), height_ratios=(3.2, 1))
    for column, (words, (encoder, best)) in enumerate(pairs.items()):
        axes = figure.add_subplot(grid[0, column])
        places = np.arange(len(encoder))
        axes.vlines(places, encoder, best, color=look.QUIET, linewidth=2)
        axes.plot(places, best, "^", color=look.model_style("vae").colour, label="best q", markersize=7)
        axes.plot(places, encoder, "o", color="#333333", label="encoder's q", markersize=6)
        axes.set_title(f"{words}: median gap {np.median(best - encoder):.1f} nats", fontsize="medium")
        axes.set_xticks([])
        axes.set_xlim(-0.5, len(encoder) - 0.5)
        axes.set_ylabel("ELBO, nats per image" if column == 0 else "")
        if column == 0:
            axes.legend(loc="best", fontsize="small")
        row = figure.add_subplot(grid[1, column])
        row.imshow(
            np.concatenate(
                [np.pad(p, ((0, 0), (0, 0), (0, 1)), constant_values=1) for p in pictures[words]], axis=2
            ).transpose(1, 2, 0),
            cmap="gray",
            vmin=0,
            vmax=1,
        )
        row.set_axis_off()
    return figure


pairs = {words: (climb.encoder_bound, climb.found.bound) for words, climb in climbs.items()}
pictures = {"as in training": upright[:8] / 255, "upside down": upside_down[:8] / 255}
lesson.show(guesses({words: (a[:8], b[:8]) for words, (a, b) in pairs.items()}, pictures))

# %% [markdown]
# One look of the encoder replaces hundreds of steps, and it costs: what you see at the left is the price on images like those of the training, for
# a small encoder that was trained in a minute; a larger one, trained for longer, pays less. On images unlike the training's it pays far more, although
# the *decoder* would allow a better code. (For photographs, where upside down is less strange, the difference is smaller.) So if a few images matter
# very much, start at the encoder's $\phi$ and climb: `lowerbound.infer_for` did just that. What is left between the best $q$ and $\log p(x)$ is
# not the encoder's fault but the family's: an isotropic Gaussian cannot take every shape (`lowerbound nats` splits the two).

# %% [markdown] discuss="amortised"
# When would you rather have the climb than the encoder? Think of: one precious measurement; a stream of images on a phone; data that change slowly
# over the years.

# %% [markdown] section="4" title="A tighter bound from several draws: IWAE" minutes=8
# Lesson 5 left a gap: $\mathrm{ELBO}=\log p(x)-\mathrm{KL}(q\,\|\,p(z|x))$. One may close it with a better $q$. Burda, Grosse and Salakhutdinov (2016)
# found a second way: **ask the same $q$ more than once.** For one draw $z$ from $q(z|x)$ let the *importance weight* be
#
# $$w=\frac{p(x|z)\,p(z)}{q(z|x)},\qquad \mathbb E_q[w]=\int p(x|z)\,p(z)\,dz=p(x).$$
#
# So $w$ is a guess of $p(x)$, right on average. The ELBO is $\mathbb E[\log w]$: it takes the logarithm of a single, scattered guess, and as the
# logarithm punishes low guesses more than it rewards high ones (Jensen, lesson 5) it comes out low. Average $n$ guesses *before* the logarithm,
# and there is less scatter to be punished:
#
# $$\log p(x)\;\ge\;\mathcal L_n=\mathbb E\Big[\log\frac1n\sum_{i=1}^n w_i\Big]\;\ge\;\mathcal L_1=\mathrm{ELBO},$$
#
# and $\mathcal L_n$ rises with $n$ to $\log p(x)$. Networks trained on it are called importance-weighted autoencoders, IWAE.
#
# ### Exercise: the bound
# From the *logarithms* of the weights, $[n, b]$: draws down, images across. Mind that $\log w$ may be $-1000$ or $+700$.


# %% exercise="importance_weighted_bound"
def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """log of the mean of the weights, in nats per image: log weights ``[n, b]`` -> ``[b]``."""
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))  # SOLUTION


# %%
importance_weighted_bound = lesson.check("importance_weighted_bound", importance_weighted_bound)

# %% [markdown]
# **A place where the truth is known.** A bound is best tested where one knows what it bounds. With a *linear* decoder and Gaussian noise a VAE is
# probabilistic PCA, and $\log p(x)$ is a formula. There we spoil $q$ on purpose: the exact posterior, made one and a half times as wide.

# %%
line = linear_vae(probabilistic_pca, torch.float64)
few = lesson.test.pixels[:10]
truth = torch.from_numpy(probabilistic_pca.score_samples(few))
counts = [1, 2, 4, 8, 16, 32, 64, 128, 256]
total = 2048 if draws > 100 else 512


def weights_of(model, q, images, total, block=64):
    """log w of so many draws for each image, ``[total, b]``, a block at a time."""
    with torch.no_grad():
        blocks = []
        for _ in range(total // block):
            z = q.sample((block,))
            blocks.append(log_weights(q, z, model.decoder, model.prior, images))
    return torch.cat(blocks)


def bounds_of(log_w):
    """For every n in counts, bounds from n draws each, as often as there are draws for: ``{n: [repeats, b]}``."""
    return {n: torch.stack([importance_weighted_bound(group) for group in log_w.split(n)]) for n in counts}


torch.manual_seed(1)
pixels = course.floats(few).double()
with torch.no_grad():
    exact_q = line.encoder(pixels)
    wide_q = Independent(Normal(exact_q.mean, 1.5 * exact_q.stddev), 1)
known = bounds_of(weights_of(line, wide_q, pixels, total))
print(
    f"log p(x), exact: {float(truth.mean()):.2f} nats per image; ELBO with the exact posterior: {float(bounds_of(weights_of(line, exact_q, pixels, 256))[1].mean()):.2f}"
)
print(f"with the wide q: ELBO {float(known[1].mean()):.2f}, bound from 256 draws {float(known[256].mean()):.2f}")


# %%
@look.drawn
def tightening(left, right, left_truth):
    """Bounds against the number of draws: beside the truth where it is known, and of the trained VAE."""
    figure = look.canvas(look.WIDTH, 3.8)
    first, second = figure.subplots(1, 2)
    style = look.model_style("vae")
    for n, bounds in left.items():
        away = (bounds - left_truth).flatten()[:150]
        sideways = n * 2 ** np.random.default_rng(n).uniform(-0.25, 0.25, len(away))
        first.scatter(sideways, away, s=3, color=look.QUIET, alpha=0.35, linewidths=0)
    first.plot(
        list(left),
        [float((b - left_truth).mean()) for b in left.values()],
        "-o",
        color=style.colour,
        label="mean of the bound",
    )
    first.axhline(0, color="black", linestyle="--", label="log p(x), exact")
    lowest = float(np.quantile((left[1] - left_truth).numpy(), 0.02))
    first.set(title="linear decoder, q too wide", ylabel="nats above log p(x)", ylim=(lowest, 0.35 * -lowest))
    first.legend(loc="lower right", fontsize="small")
    second.plot(list(right), [float((b - right[1].mean(0)).mean()) for b in right.values()], "-o", color=style.colour)
    second.set(title="your VAE, the encoder's q", ylabel="nats above the ELBO")
    for axes in (first, second):
        axes.set(xscale="log", xlabel="draws n inside the logarithm")
        axes.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
        axes.minorticks_off()
    return figure


with torch.no_grad():
    x = course.floats(few)
    trained = bounds_of(weights_of(vae, vae.encoder(x), x, total))
lesson.show(tightening(known, trained, truth))

# %% [markdown]
# Left, the mean rises with every doubling and never passes the dashed line. *Single* bounds (dots) do pass it: the promise is about the average, and a
# lucky set of draws may guess too high. Right, the same $q$ and the same weights of our VAE gain nats for nothing but more draws: a good part of the
# "loss" of a VAE is often the bound's, not the model's.
#
# How to read it in practice:
#
# - To *report* how good a model is, $\mathcal L_n$ with a large $n$ is nearer to the truth than the ELBO; say $n$. `lowerbound` calls this the evidence.
# - To *train*, a few draws help a $q$ that is too simple. Many draws help less than one hopes: as the bound tightens, the encoder's gradient drowns
#   in noise (Rainforth et al., 2018). Other gradients mend that (Tucker et al., 2019, https://arxiv.org/abs/1810.04152).
# - If one weight of thousands carries the whole sum, believe none of it: $q$ misses where the posterior is.

# %% [markdown] section="5" title="Learned priors: let a plain autoencoder generate" minutes=8
# In lesson 4 you fed $z\sim\mathcal N(0,I)$ to a plain autoencoder's decoder, and most of it was no image of anything. Section 1 shows why: its codes do
# not lie there. The VAE
# moves *codes* to where the prior is. One may as well do the reverse: leave the codes where they are and **move the prior to the codes.** After
# training, encode all images, and fit a density $p(z)$ to what comes out. The simplest is a normal with the codes' own mean $\mu$ and covariance
# $\Sigma$:
#
# $$\mu=\frac1N\sum_i h_i,\qquad \Sigma=\frac1N\sum_i (h_i-\mu)(h_i-\mu)^\top .$$
#
# ### Exercise: fit a normal to codes


# %% exercise="fitted_prior"
def fitted_prior(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``[K]`` and covariance ``[K, K]`` of codes ``[N, K]``: the normal under which they are likeliest."""
    # BEGIN SOLUTION
    #> mean = ...          # [K]
    #> covariance = ...    # [K, K]
    mean = codes.mean(dim=0)
    away = codes - mean
    covariance = away.T @ away / len(codes)
    # END SOLUTION
    return mean, covariance


# %%
fitted_prior = lesson.check("fitted_prior", fitted_prior)

# %% [markdown]
# A normal is one smooth hill. Codes of ten digits make ten, so we also fit lowerbound's mixture of normals (how many components it has is chosen on
# codes held out).

# %%
codes = torch.from_numpy(autoencoder.transform(lesson.train.pixels)).double()
mean, covariance = fitted_prior(codes)
mixture = fit_prior("gmm", codes.numpy(), progress=terminal)

torch.manual_seed(0)
n = 16
shape = torch.linalg.cholesky(covariance + 1e-9 * covariance.diagonal().mean() * torch.eye(K, dtype=covariance.dtype))
priors = {
    "AE, z ~ N(0, I)": torch.randn(n, K),
    "AE, fitted normal": mean + torch.randn(n, K, dtype=mean.dtype) @ shape.T,
    "AE, fitted mixture": mixture.prior().sample((n,)),
}
with torch.random.fork_rng([]):
    sheets = {name: autoencoder.inverse_transform(z.float().numpy()) for name, z in priors.items()}
sheets["VAE, z ~ N(0, I)"] = vae.sample(n)
lesson.show(figures.samples_grid(sheets, prior="what stands above each sheet"))


# %%
def nats_per_code(density, codes):
    return float(density.log_prob(codes).mean())


held_out = torch.from_numpy(autoencoder.transform(lesson.test.pixels)).double()
standard = Independent(Normal(torch.zeros(K, dtype=torch.float64), 1.0), 1)
own = torch.distributions.MultivariateNormal(mean, scale_tril=shape)
print("log p(z) of codes of test images, nats per code; higher is better")
print(f"  N(0, I)         {nats_per_code(standard, held_out):10.1f}")
print(f"  fitted normal   {nats_per_code(own, held_out):10.1f}")
print(f"  fitted mixture  {nats_per_code(mixture.prior(), held_out.float()):10.1f}")

# %% [markdown]
# From $\mathcal N(0,I)$ to a fitted normal the change is large, and it took one line of linear algebra. The mixture mostly improves on it again, as both the sheet
# and the number say. The same trick serves a VAE whose codes do not quite fill $\mathcal N(0,I)$ (then fit to *draws* from $q(z|x)$, not to means), or the prior can
# be learned together with the rest: a VampPrior (Tomczak & Welling, 2018), a normalising flow, or, in latent diffusion, a whole diffusion model on the codes
# (lesson 11).

# %% [markdown] response="learned_prior"
# If a prior fitted afterwards makes a plain autoencoder generate, what is the KL term still good for? Look at the sheets, and think of what the decoder
# has seen between codes.

# %% [markdown] discuss="five_tricks"
# Five tricks: ELBO as a loss, reparameterisation, amortisation, several draws, learned priors. If your VAE made bad samples, which would you look at first?
# And if its ELBO was low but the samples good?
