# ---
# lesson:
#   id: "05"
#   title: From one code to a distribution over codes
#   goals:
#     - say what a recognition model gives for an image, and draw codes from it
#     - compute log p(x|z) in nats, with all constants, and know what the noise sigma does to it
#     - compute the KL divergence of q from the prior in two ways
#     - put both together to the ELBO, and derive in two ways why it never exceeds log p(x)
#   references:
#     - "Kingma & Welling, 2014, Auto-encoding variational Bayes, https://arxiv.org/abs/1312.6114"
#     - "Rezende, Mohamed & Wierstra, 2014, Stochastic backpropagation and approximate inference in deep generative models, https://arxiv.org/abs/1401.4082"
#     - "Jordan, Ghahramani, Jaakkola & Saul, 1999, An introduction to variational methods for graphical models, https://doi.org/10.1023/A:1007665907178"
#     - "Blundell, Cornebise, Kavukcuoglu & Wierstra, 2015, Weight uncertainty in neural networks, https://arxiv.org/abs/1505.05424"
#     - "Tipping & Bishop, 1999, Probabilistic principal component analysis, https://doi.org/10.1111/1467-9868.00196"
#     - "Roeder, Wu & Duvenaud, 2017, Sticking the landing, https://arxiv.org/abs/1703.09194"
# ---

# %% [markdown] section="1" title="Recognition models: a distribution for every image" minutes=6 video="RgOF3XJL5vw" video_title="Samples in a VAE"
# The last lesson ended in front of a haystack. The evidence $p(\mathbf x)$ of an image is an average over *all* codes, and nearly all
# codes have nothing to say about this image; draws from the prior almost never hit the few that have. What would help is somebody who
# looks at the image first, and then tells us **where to search**: not one code, since several may do, but a distribution over codes.
#
# A network that does this is a **recognition model**. It takes the place of the encoder, and the decoder becomes a density network:
#
# | | autoencoder | variational autoencoder (VAE) |
# |---|---|---|
# | image to code | encoder: $\mathbf x \to \mathbf h$, a vector of $K$ numbers | recognition model: $\mathbf x \to q(\mathbf z)$, a whole distribution |
# | code to image | decoder: $\mathbf h \to \mathbf x'$, an image | density network: $\mathbf z \to p(\mathbf x \mid \mathbf z; \mathbf w)$, a distribution over images, with the decoder's output $f(\mathbf z; \mathbf w)$ as its mean |
# | what is asked | a good image from the one $\mathbf h$ | good images **on average** over draws $\mathbf z \sim q(\mathbf z)$ |
#
# The last row is where the change comes from: when every code in a whole region has to give a good image, the decoder can no longer
# leave holes right beside the codes that it was trained on.
#
# ## How can a network put out a distribution?
#
# **One road: random weights.** Draw the weights of the network anew each time it runs, and the same image gives another code each time.
# That is the road of *Bayesian neural networks* (Blundell et al., 2015). There the open question is which network is right; the
# spread of the answers says how little the data have settled that. It is a fine road, but not the one that VAEs take: here the
# question is which code is right *for this image*, however much data there were.
#
# **The other road: put out parameters.** Choose a family of distributions once and for all. Then a few numbers $\phi$ say which member
# of it is meant, and an ordinary network without any randomness can put these numbers out:
# $\mathbf x \to \phi$, and $\phi$ names $q(\mathbf z; \phi)$.
#
# Our family are the *isotropic* normal distributions: the same spread $\sigma$ in all directions around a mean $\boldsymbol\mu$,
#
# $$q(\mathbf z; \phi) = \mathcal N(\mathbf z;\, \boldsymbol\mu,\, \sigma^2 \mathbf I_K) = \prod_{k=1}^{K} \mathcal N(z_k;\, \mu_k,\, \sigma^2),
# \qquad \phi = (\mu_1, \ldots, \mu_K,\ \log \sigma).$$
#
# These are $K + 1$ numbers. The last is the *logarithm* of the spread, because a network's output may be any real number, also a
# negative one, and $\sigma = e^{\log \sigma}$ is then still above zero.
#
# A semicolon, as in $q(\mathbf z; \phi)$ or $p(\mathbf x; \mathbf w)$, sets off parameters: numbers that shape the distribution
# without being random themselves. A bar, as in $p(\mathbf x \mid \mathbf z)$, sets off another random quantity whose value is given.

# %%
import math

import numpy as np
import torch
from torch import Tensor

from lowerbound import look, spread
from lowerbound.pca import PCA

torch.manual_seed(5)
K = min(lesson.suggested_k, len(lesson.train) - 1)
P = math.prod(lesson.image_shape)
print(f"an image has P = {P:,} values, its code K = {K}; the recognition model gives K + 1 = {K + 1} numbers for it")

# %% [markdown] section="2" title="Drawing codes from q" minutes=7
# The recognition model itself comes in lesson 7. Here you write what stands behind it: from the numbers $\phi$ to draws of codes.
#
# A draw from any normal distribution can be made from a draw of the standard one. Let $\boldsymbol\varepsilon$ be a vector of $K$
# independent standard normal numbers; then
#
# $$\mathbf z = \boldsymbol\mu + \sigma\, \boldsymbol\varepsilon, \qquad \boldsymbol\varepsilon \sim \mathcal N(\mathbf 0, \mathbf I_K),$$
#
# is distributed as $q(\mathbf z; \phi)$. All the chance is in $\boldsymbol\varepsilon$, which knows nothing of $\phi$; what is left is
# plain arithmetic with $\boldsymbol\mu$ and $\sigma$, and gradients flow through that. This is what the *r* in `rsample` is for: it is
# a *reparameterised* sample. Lesson 9 shows how much hangs on it.
#
# **Exercise: `rsample`.** It gets a batch of $\phi$, of shape `[b, K + 1]`, and gives `number` codes for each, of shape
# `[b, number, K]`. Each code has noise of its own.


# %% exercise="rsample"
def rsample(phi: Tensor, number: int) -> Tensor:
    """Draw codes z ~ q(z; phi): from phi [b, K + 1], whose last column is log sigma, codes [b, number, K]."""
    # BEGIN SOLUTION
    #> mean, sigma = ...    # [b, 1, K] and [b, 1, 1]: an axis of length 1 stretches over the draws
    #> noise = ...          # standard normal, [b, number, K], on the device of phi
    #> return ...           # the formula above
    mean, sigma = phi[:, None, :-1], phi[:, None, -1:].exp()
    noise = torch.randn(len(phi), number, phi.shape[1] - 1, dtype=phi.dtype, device=phi.device)
    return mean + sigma * noise
    # END SOLUTION


# %%
rsample = lesson.check("rsample", rsample)

# %% [markdown]
# Checks are good, looking is better. Here are four random $\phi$ in two dimensions, a hundred draws from each, and the circles of one
# and of two standard deviations. Most draws should lie within the larger circle, but not all of them: in two dimensions
# 86.5 % do, $1 - e^{-2}$. Mind the axes: each panel has a scale of its own.

# %%
phi = torch.randn(4, 3)
codes = rsample(phi, 100)
lesson.show(spread.circles(phi.numpy(), codes.numpy()))

# %% [markdown]
# Do not carry that picture over to $K$ dimensions without thought. Far out there is so much more room that nearly all draws lie
# at a distance of about $\sigma \sqrt K$ from the mean, in a thin shell, and hardly any lie within $2\sigma$:

# %%
for dimensions in (1, 2, 5, 20, 64):
    radius = rsample(torch.zeros(1, dimensions + 1), 4000).norm(dim=2)  # mean 0 and log sigma 0, so sigma 1
    within = 100 * (radius < 2).float().mean()
    print(
        f"K = {dimensions:2}: {within:5.1f} % within two sigma; distance {radius.mean():.2f} ± {radius.std():.2f}, root of K {dimensions**0.5:.2f}"
    )

# %% [markdown]
# ## Other families
#
# One $\sigma$ for all directions is the smallest choice. A **diagonal** normal has one for each, so that $\phi$ has $2K$ numbers,
# $(\mu_1, \ldots, \mu_K, \log \sigma_1, \ldots, \log \sigma_K)$. It is the usual choice in VAEs, and the same formula draws from it; only
# `sigma` has one more axis. A **full** covariance may also be tilted against the axes and takes $K + K(K+1)/2$ numbers.
# PyTorch has it as `torch.distributions.MultivariateNormal`. We write our own functions for the isotropic family: they are short,
# and after writing them you know what they do.


# %%
@look.drawn
def families():
    """Draws from an isotropic, a diagonal and a full normal in two dimensions, with the lines of two standard deviations."""
    turn = np.linspace(0, 2 * np.pi, 200)
    circle, noise = np.stack([np.cos(turn), np.sin(turn)]), np.random.default_rng(1).normal(size=(2, 150))
    factors = {
        "isotropic: K + 1 = 3 numbers": np.diag([0.7, 0.7]),
        "diagonal: 2K = 4 numbers": np.diag([1.3, 0.35]),
        "full: K + K(K + 1)/2 = 5 numbers": np.array([[1.1, 0.0], [0.75, 0.35]]),
    }
    figure = look.canvas(look.WIDTH, 3.1)
    for axes, (name, factor) in zip(figure.subplots(1, 3, sharex=True, sharey=True), factors.items(), strict=True):
        axes.scatter(*(factor @ noise), s=7, color=look.QUIET, alpha=0.6, linewidths=0)
        axes.plot(*(factor @ (2 * circle)), color="black", linewidth=1.6)
        axes.set(xlim=(-3.4, 3.4), ylim=(-3.4, 3.4), aspect="equal", xlabel="z₁")
        axes.set_title(name, fontsize="small")
    figure.axes[0].set_ylabel("z₂")
    return figure


lesson.show(families())

# %% [markdown] section="3" title="How likely is an image, given a code?" minutes=7
# Now the density network. Its noise model says that an image is the decoder's output plus independent normal noise of standard deviation
# $\sigma_x$ on each of the $P$ values, $p(\mathbf x \mid \mathbf z; \mathbf w) = \mathcal N(\mathbf x;\, f(\mathbf z; \mathbf w),\, \sigma_x^2 \mathbf I_P)$.
# Independent values multiply their densities, so the logarithm is a sum over them:
#
# $${\color{#0072B2}{\log p(\mathbf x \mid \mathbf z; \mathbf w)}} = -\frac12 \sum_{j=1}^{P} \left[ \frac{\big(x_j - f_j(\mathbf z; \mathbf w)\big)^2}{\sigma_x^2} + \log\!\big(2 \pi \sigma_x^2\big) \right].$$
#
# Here $x_j$ is one value of the image (one colour of one pixel) and $f_j$ what the decoder says of it. The unit is the **nat**, since the
# logarithm is the natural one, and it is nats *per image*: a sum over the values, not a mean.
#
# **Exercise: `log_p_x`.** Images `x` have shape `[b, C, H, W]`; the decoder gave `n` means for each, from `n` codes, of shape `[b, n, C, H, W]`.
# The answer is a number for each image and draw, `[b, n]`, with all constants. `sigma` may be a number or a tensor.


# %% exercise="log_p_x"
def log_p_x(x: Tensor, means: Tensor, sigma: Tensor | float) -> Tensor:
    """log p(x|z), nats per image and draw [b, n], of images [b, C, H, W] given means [b, n, C, H, W] and pixel noise sigma."""
    # BEGIN SOLUTION
    #> variance = ...    # torch.as_tensor(sigma) takes a number as well as a tensor
    #> error = ...       # squared, [b, n, C, H, W]: x needs an axis for the draws
    #> return ...        # the formula above, summed over the last three axes
    variance = torch.as_tensor(sigma) ** 2
    error = (x[:, None] - means) ** 2
    return -0.5 * (error / variance + torch.log(2 * math.pi * variance)).sum((2, 3, 4))
    # END SOLUTION


# %%
log_p_x = lesson.check("log_p_x", log_p_x)

# %% [markdown]
# This is an old friend. With the mean squared error per value, $\mathrm{MSE} = \frac1P \sum_j (x_j - f_j)^2$,
#
# $${\color{#0072B2}{\log p(\mathbf x \mid \mathbf z)}} = -\frac P2 \left[ \frac{\mathrm{MSE}}{\sigma_x^2} + \log\!\big(2\pi\sigma_x^2\big) \right].$$
#
# For a fixed $\sigma_x$ a smaller error is a higher likelihood, nothing new. But $\sigma_x$ now says *how much* an error costs. A small one
# is **strict**: each error weighs heavily. A large one is **lax**: errors pass as noise, but the second term charges for so much
# noise. In between lies the best value, and the derivative with respect to $\sigma_x^2$ says where: at $\sigma_x^2 = \mathrm{MSE}$.


# %%
@look.drawn
def noise_levels(values: int, errors=(0.003, 0.01, 0.03)):
    """log p(x|z) against sigma, for images of so many values and three mean squared errors."""
    sigma = np.geomspace(0.03, 1, 300)
    figure = look.canvas(look.WIDTH, 3.3)
    axes = figure.subplots()
    best = []
    for error, line in zip(errors, ("-", "--", ":"), strict=True):
        height = -values / 2 * (error / sigma**2 + np.log(2 * np.pi * sigma**2))
        axes.plot(sigma, height, line, color=look.RECONSTRUCTION, label=f"MSE {error:g}: best at σ = {error**0.5:.3f}")
        best.append(-values / 2 * (1 + np.log(2 * np.pi * error)))
        axes.plot(error**0.5, best[-1], "o", color=look.RECONSTRUCTION)
    axes.set(xscale="log", ylim=(-values * 1.6, max(best) + 0.2 * values))
    axes.set_xticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "\N{MINUS SIGN}"))
    axes.set_xlabel("σ of the pixel noise: strict on the left, lax on the right")
    axes.set_ylabel("log p(x|z), nats per image")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


lesson.show(noise_levels(P))

# %% [markdown]
# Two warnings that save much confusion.
#
# **Constants.** Many programs leave the $2\pi$ out, because it does not change where the maximum is. Their numbers are then too high by
# $\frac P2 \log 2\pi$: the cell below says how much that is for your images. Compare only numbers that have the same constants. In this
# course all of them are always there.
#
# **Densities.** Pixels are stored as one of 256 levels, and we treat them as real numbers in $[0, 1]$. What we compute is therefore a
# density, which may well be above one (and its logarithm above zero), and *not* the likelihood of the stored data. On pixels
# from 0 to 255 the same model would have $P \log 255$ nats less. So a number in nats means something only beside another one for
# the same data on the same scale.

# %%
print(
    f"P/2 log 2 pi = {P / 2 * math.log(2 * math.pi):,.1f} nats per image; P log 255 = {P * math.log(255):,.1f} nats per image"
)

# %% [markdown] section="4" title="How far is q from the prior?" minutes=7
# The second ingredient compares two distributions over codes: $q(\mathbf z; \phi)$, where we would search for this image, and the
# prior $p(\mathbf z) = \mathcal N(\mathbf 0, \mathbf I_K)$, from which codes are drawn when new images are made. The Kullback-Leibler divergence is the
# average, over draws from the first, of how much more likely they are under the first than under the second:
#
# $${\color{#D55E00}{\mathrm{KL}\big(q(\mathbf z; \phi)\,\|\,p(\mathbf z)\big)}} = \mathbb E_{q(\mathbf z; \phi)}\big[\log q(\mathbf z; \phi) - \log p(\mathbf z)\big] \ \ge\ 0.$$
#
# It is zero where the two are the same, and else above zero. It is in nats, too, and has a plain meaning: how many nats this image's codes tell,
# beyond what the prior knew already.
#
# **By sampling.** An average over draws is estimated by draws. This needs no more than the two log densities, so it works for any pair
# of distributions. With $\log \mathcal N(z; \mu, \sigma^2) = -\frac{(z - \mu)^2}{2 \sigma^2} - \log \sigma - \frac12 \log 2\pi$ for each $z_k$, the $2\pi$ cancels in the difference.
#
# **Exercise: `kl_by_sampling`.** From codes `[b, n, K]` that were drawn from the $q$ of `phi`, `[b, K + 1]`, the estimate for each image, `[b]`:
# summed over the $K$ components, averaged over the $n$ draws.


# %% exercise="kl_by_sampling"
def kl_by_sampling(codes: Tensor, phi: Tensor) -> Tensor:
    """KL(q || p) estimated from draws of q, nats per image [b]: from codes [b, n, K] and phi [b, K + 1]."""
    mean, log_sigma = phi[:, None, :-1], phi[:, None, -1:]
    # BEGIN SOLUTION
    #> log_q = ...    # of each component, [b, n, K]; leave out -1/2 log 2 pi here ...
    #> log_p = ...    # ... and here
    #> return ...
    log_q = -0.5 * ((codes - mean) / log_sigma.exp()) ** 2 - log_sigma
    log_p = -0.5 * codes**2
    return (log_q - log_p).sum(2).mean(1)
    # END SOLUTION


# %%
kl_by_sampling = lesson.check("kl_by_sampling", kl_by_sampling)

# %% [markdown]
# **In closed form.** Between two normal distributions the average can be done on paper. For one component, $\mathbb E_q[(z_k - \mu_k)^2] = \sigma^2$ and
# $\mathbb E_q[z_k^2] = \mu_k^2 + \sigma^2$; put these into the definition and sum over the $K$ components, each of which has the same $\sigma$:
#
# $${\color{#D55E00}{\mathrm{KL}\big(q(\mathbf z; \phi)\,\|\,p(\mathbf z)\big)}} = \frac12 \sum_{k=1}^{K} \left( \mu_k^2 + \sigma^2 - 1 - 2 \log \sigma \right).$$
#
# **Exercise: `kl_closed_form`.** From `phi`, `[b, K + 1]`, the exact number for each image, `[b]`.


# %% exercise="kl_closed_form"
def kl_closed_form(phi: Tensor) -> Tensor:
    """KL(q || p) exactly, nats per image [b], of phi [b, K + 1]."""
    mean, log_sigma = phi[:, :-1], phi[:, -1:]
    # BEGIN SOLUTION
    #> return ...    # log_sigma is [b, 1] and stretches over the K components
    return 0.5 * (mean**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(1)
    # END SOLUTION


# %%
kl_closed_form = lesson.check("kl_closed_form", kl_closed_form)


# %%
@look.drawn
def two_ways_to_kl(phi):
    """Left the closed form against sigma, one component; right estimates by sampling around it."""
    sigma = torch.logspace(-1.3, 0.7, 200, dtype=torch.float64)
    figure = look.canvas(look.WIDTH, 3.4)
    left, right = figure.subplots(1, 2)
    for mean, line in ((0.0, "-"), (1.0, "--"), (2.0, ":")):
        columns = torch.stack([torch.full_like(sigma, mean), sigma.log()], 1)
        left.plot(sigma, kl_closed_form(columns), line, color=look.KL, label=f"μ = {mean:g}")
    left.set(xscale="log", ylim=(0, 5), xlabel="σ of q, one component", ylabel="KL from the prior, nats")
    left.set_xticks([0.1, 1, 3], ["0.1", "1", "3"])
    left.minorticks_off()
    left.legend()
    draws = np.array([1, 3, 10, 30, 100, 300])
    estimates = [kl_by_sampling(rsample(phi.expand(200, -1), int(number)), phi.expand(200, -1)) for number in draws]
    low, high = np.percentile(np.stack([estimate.numpy() for estimate in estimates]), [5, 95], axis=1)
    exact = float(kl_closed_form(phi))
    right.fill_between(draws, low, high, color=look.KL, alpha=0.25, linewidth=0, label="by sampling: 90 % of estimates")
    right.plot(draws, [exact] * len(draws), color=look.KL, label=f"in closed form: {exact:.2f} nats")
    right.set(xscale="log", xlabel="draws averaged", ylabel="KL from the prior, nats", ylim=(None, max(high) * 1.25))
    right.set_xticks(draws, [str(number) for number in draws])
    right.minorticks_off()
    right.legend(loc="upper right", fontsize="small")
    return figure


lesson.show(two_ways_to_kl(torch.tensor([[1.0, -0.5, 0.3, 0.8, -0.7]])))

# %% [markdown]
# The left picture has a steep wall and a gentle slope: a $q$ much *narrower* than the prior costs about $-\log\sigma$ nats for each component, as many as it takes to
# tell so precise a place; a $q$ much wider soon costs more. On the right, estimates from few draws scatter widely, and a single one may even be below zero although no KL is;
# their average is right. When there is a closed form, why sample at all? Because for most other pairs there is none, and because the same draws will also be used for the first
# term: near the best $q$ the errors of the two terms cancel (Roeder et al., 2017). You will see that happen in a moment.

# %% [markdown] section="5" title="The ELBO" minutes=5 video="-99NskgKDo0" video_title="The ELBO"
# Both ingredients are there. The **evidence lower bound** of an image is
#
# $$\mathrm{ELBO}(\mathbf x, \phi, \mathbf w) = {\color{#0072B2}{\underbrace{\mathbb E_{q(\mathbf z; \phi)}\big[\log p(\mathbf x \mid \mathbf z; \mathbf w)\big]}_{\text{reconstruction}}}}
# \ -\ {\color{#D55E00}{\underbrace{\mathrm{KL}\big(q(\mathbf z; \phi)\,\|\,p(\mathbf z)\big)}_{\text{regularisation}}}}.$$
#
# The <span style="color:#0072B2">**reconstruction term**</span> is high when *all* codes in the reach of $q$ give images near to $\mathbf x$; alone, it would have $q$ shrink to the one best code.
# The <span style="color:#D55E00">**regularisation term**</span> pulls $q$ back towards the prior; alone, it would have $q$ forget the image. These two colours stand for these two terms in the whole course.
#
# **Exercise: `elbo`.** It gets five things:
#
# - `x`, images `[b, C, H, W]`;
# - `phi`, the parameters of a $q$ for each, `[b, K + 1]`;
# - `decode`, which turns codes `[b, n, K]` into means of images `[b, n, C, H, W]`: the $f(\mathbf z; \mathbf w)$ of the formulas;
# - `sigma`, the pixel noise $\sigma_x$: the larger, the sloppier a reconstruction may be, since errors pass as noise;
# - `number`, the draws of $\mathbf z$ for each image.
#
# It gives the ELBO of each image, `[b]`, in nats. Use one and the same set of draws for both terms.


# %% exercise="elbo"
def elbo(x: Tensor, phi: Tensor, decode, sigma: Tensor | float, number: int) -> Tensor:
    """The evidence lower bound estimated from so many draws of q, nats per image [b]."""
    # BEGIN SOLUTION
    #> codes = ...             # from q, [b, number, K]
    #> reconstruction = ...    # of each image, averaged over the draws
    #> return ...
    codes = rsample(phi, number)
    reconstruction = log_p_x(x, decode(codes), sigma).mean(1)
    return reconstruction - kl_by_sampling(codes, phi)
    # END SOLUTION


# %%
elbo = lesson.check("elbo", elbo)

# %% [markdown]
# Let us watch the two terms pull. For that we want a decoder for which $\log p(\mathbf x)$ can be computed exactly, and there is one: a *linear* decoder, whose best version you know
# from lesson 1. It adds multiples of the first $K$ principal components to the mean image, and its noise is what PCA leaves out. As a density network it is called
# *probabilistic PCA* (Tipping & Bishop, 1999). An image is then a sum of normal random numbers and so normal itself, and the exact posterior over codes, $p(\mathbf z \mid \mathbf x)$, is normal, too.

# %%
pca = PCA(K).fit(lesson.train.pixels)
sigma = pca.noise_variance**0.5  # of what the K components leave, per value
beyond_noise = np.sqrt(np.maximum(pca.variances[:K] - sigma**2, 0))
weights = torch.from_numpy(pca.components * beyond_noise[:, None])  # [K, P]: what one unit of each component of z adds
mean_image = torch.from_numpy(pca.mean)  # [P]


def decode_linear(codes):
    """Means of images [..., C, H, W] from codes [..., K], in double precision."""
    return (mean_image + codes.double() @ weights).unflatten(-1, lesson.image_shape)


def exact_posterior(x):
    """Mean [b, K] and standard deviation [K] of each component of z, given images [b, C, H, W]."""
    variances = sigma**2 / ((weights**2).sum(1) + sigma**2)  # the components are at right angles to each other
    return (x.double().flatten(1) - mean_image) @ weights.T / sigma**2 * variances, variances**0.5


some = lesson.test.pixels[:100]
x = torch.from_numpy(some / 255)
log_p = torch.from_numpy(pca.score_samples(some))  # log p(x), exactly
print(f"K = {K}, sigma of the noise {sigma:.3f}; log p(x) of the first test image: {log_p[0]:.1f} nats")


# %%
@look.drawn
def tug_of_war(image, log_p_of_image):
    """Both terms and their difference against the spread of q, whose mean is that of the exact posterior."""
    mean, spreads = exact_posterior(image)
    sigmas = np.geomspace(spreads.min() / 3, 1.5, 40)
    rows = []
    for sigma_q in sigmas:
        q = torch.cat([mean, torch.full_like(mean[:, :1], math.log(sigma_q))], 1)
        torch.manual_seed(0)  # the same noise for every spread: else the curves would be jagged
        codes = rsample(q, 100)
        rows.append([float(log_p_x(image, decode_linear(codes), sigma).mean()), float(kl_closed_form(q))])
    reconstruction, kl = np.array(rows).T
    figure = look.canvas(look.WIDTH, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(
        sigmas,
        reconstruction - reconstruction.max(),
        color=look.RECONSTRUCTION,
        label="reconstruction, less its best value",
    )
    upper.plot(sigmas, -kl, color=look.KL, label="minus KL(q || prior)")
    upper.set_ylabel("nats")
    upper.set_ylim(1.6 * min((-kl).min(), -10), 8)
    upper.legend(loc="lower left")
    lower.plot(sigmas, reconstruction - kl, color="black", label="ELBO: the sum of both")
    lower.axhline(log_p_of_image, color="#009E73", linestyle="--", label="log p(x), exactly")
    lower.set(xscale="log", xlabel="σ of q: the narrower, the more is told about the code", ylabel="nats per image")
    top = (reconstruction - kl).max()
    lower.set_ylim(top - 60, log_p_of_image + 12)
    lower.plot(sigmas[(reconstruction - kl).argmax()], top, "o", color="black")
    lower.legend(loc="lower right")
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if sigmas[0] < tick]
    lower.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    lower.minorticks_off()
    lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "\N{MINUS SIGN}"))
    return figure


lesson.show(tug_of_war(x[:1], float(log_p[0])))

# %% [markdown]
# Blue falls as $q$ gets wider, for more and more draws decode to something else. Orange rises, for a vague $q$ tells less. The best $q$ is a compromise, and even there the black line
# stays below the dashed one. It is a lower bound indeed; the next section says why, and what the gap is.

# %% [markdown] response="two_terms"
# In your own words: what would happen to $q$, and to the images drawn from the prior and decoded, if only the reconstruction term were maximised? What if only the KL term counted?

# %% [markdown] section="6" title="Why it is a lower bound, and when it touches" minutes=8
# **The long way, which shows everything.** (We drop $\mathbf w$ and $\phi$ for a while; it is the same for any values.) Begin with the product rule: the joint density of an image and a code can be
# taken apart in two orders, $p(\mathbf x, \mathbf z) = p(\mathbf z \mid \mathbf x)\, p(\mathbf x)$. Solve it for what we want:
#
# $$\log p(\mathbf x) = \log \frac{p(\mathbf x, \mathbf z)}{p(\mathbf z \mid \mathbf x)} \qquad \text{for every } \mathbf z \text{ with } p(\mathbf z \mid \mathbf x) > 0.$$
#
# This is stranger than it looks. On the left there is no $\mathbf z$; so on the right it must not matter which $\mathbf z$ is put in. What is the same for every $\mathbf z$ may be averaged over
# $\mathbf z$ *with any weights*, and does not change. So let $q(\mathbf z)$ be any distribution at all, and average:
#
# $$\log p(\mathbf x) = \int q(\mathbf z) \log \frac{p(\mathbf x, \mathbf z)}{p(\mathbf z \mid \mathbf x)} \,\mathrm d\mathbf z.$$
#
# The trouble is the posterior in the denominator, which we do not know. Multiply and divide within the logarithm by what we do know, $q(\mathbf z)$, and let the logarithm split the product:
#
# $$\log p(\mathbf x) = \underbrace{\int q(\mathbf z) \log \frac{p(\mathbf x, \mathbf z)}{q(\mathbf z)} \,\mathrm d\mathbf z}_{\text{ELBO}} \;+\; \underbrace{\int q(\mathbf z) \log \frac{q(\mathbf z)}{p(\mathbf z \mid \mathbf x)} \,\mathrm d\mathbf z}_{\mathrm{KL}(q(\mathbf z)\,\|\,p(\mathbf z \mid \mathbf x))}.$$
#
# The second integral is a KL divergence, of $q$ from the posterior, and so never below zero. (Why not? $\log u \le u - 1$ for every $u > 0$; with $u = p/q$, the mean of $\log (p/q)$ under $q$ is at most
# $\int p - \int q = 0$.) Hence
#
# $$\boxed{\ \log p(\mathbf x) \ \ge\ \mathrm{ELBO}\ } \qquad\text{and the gap is}\quad \log p(\mathbf x) - \mathrm{ELBO} = \mathrm{KL}\big(q(\mathbf z)\,\|\,p(\mathbf z \mid \mathbf x)\big).$$
#
# The log likelihood of one image is also called its *evidence*: hence **E**vidence **L**ower **BO**und. And with $p(\mathbf x, \mathbf z) = p(\mathbf x \mid \mathbf z)\, p(\mathbf z)$ the integral becomes the difference that you programmed:
#
# $$\mathrm{ELBO} = \int q(\mathbf z) \left[ {\color{#0072B2}{\log p(\mathbf x \mid \mathbf z)}} - {\color{#D55E00}{\log \frac{q(\mathbf z)}{p(\mathbf z)}}} \right] \mathrm d\mathbf z
# = {\color{#0072B2}{\mathbb E_q\big[\log p(\mathbf x \mid \mathbf z)\big]}} - {\color{#D55E00}{\mathrm{KL}\big(q(\mathbf z)\,\|\,p(\mathbf z)\big)}}.$$
#
# Mind that there are two divergences. The one *inside* the ELBO is from the prior, can be computed, and is not meant to be zero. The one that is the *gap* is from the posterior, cannot be computed in
# general, and should be as small as possible.
#
# **The short way: Jensen's inequality.** The logarithm is concave, so the logarithm of a mean is at least the mean of the logarithms:
#
# $$\log p(\mathbf x) = \log \int q(\mathbf z) \frac{p(\mathbf x, \mathbf z)}{q(\mathbf z)} \,\mathrm d\mathbf z = \log \mathbb E_q\!\left[\frac{p(\mathbf x, \mathbf z)}{q(\mathbf z)}\right] \ge \mathbb E_q\!\left[\log \frac{p(\mathbf x, \mathbf z)}{q(\mathbf z)}\right] = \mathrm{ELBO}.$$
#
# One line, but it does not tell how much was lost. The long way does: everything about the gap is one number, how far $q$ is from the posterior, and if $q$ *is* the posterior, nothing is lost.
# To make the bound tighter is to bring $q$ nearer to $p(\mathbf z \mid \mathbf x)$; the two are one task.
#
# Here it is in a model with a single number as image and a single number as code, where all of this can be drawn exactly: $z \sim \mathcal N(0, 1)$, then $x = w z$ plus noise of standard deviation 0.6. On the left, $q$ is
# moved along; on the right, $q$ stays, and the *decoder's* weight $w$ is moved.


# %%
def log_normal(value, mean, variance):
    """Log density of a normal distribution, nats."""
    return -0.5 * ((value - mean) ** 2 / variance + np.log(2 * np.pi * variance))


def elbo_of_a_line(value, mean, spread_q, weight, noise=0.6):
    """The ELBO, exactly, of one number whose decoder is weight times z, for q = N(mean, spread_q squared)."""
    reconstruction = log_normal(value, weight * mean, noise**2) - (weight * spread_q) ** 2 / (2 * noise**2)
    return reconstruction - 0.5 * (mean**2 + spread_q**2 - 1 - 2 * np.log(spread_q))


@look.drawn
def bound_of_a_line(value=1.5, weight=1.0, noise=0.6):
    """Left the ELBO against the mean of q, right against the decoder's weight for three q."""
    figure = look.canvas(look.WIDTH, 3.9)
    left, right = figure.subplots(1, 2)
    green = "#009E73"

    def posterior(w):
        return w * value / (w**2 + noise**2), noise / np.sqrt(w**2 + noise**2)

    mean, spread_q = posterior(weight)
    means = np.linspace(mean - 1.3, mean + 1.3, 200)
    bound, height = elbo_of_a_line(value, means, spread_q, weight), log_normal(value, 0, weight**2 + noise**2)
    left.axhline(height, color=green, linestyle="--", label="log p(x)")
    left.plot(means, bound, color="black", label="ELBO")
    left.fill_between(means, bound, height, color=green, alpha=0.15, linewidth=0, label="gap: KL(q || posterior)")
    left.plot(mean, height, "o", color="black")
    left.annotate(
        "q is the posterior:\nthe bound touches",
        (mean, height),
        (mean, height - 2.1),
        ha="center",
        arrowprops={"arrowstyle": "->"},
    )
    left.set(xlabel="mean of q; its spread is that of the posterior", ylabel="nats", ylim=(height - 4, height + 0.6))
    left.legend(loc="lower center", fontsize="small")
    weights_shown = np.linspace(0.15, 3.5, 300)
    right.plot(
        weights_shown,
        log_normal(value, 0, weights_shown**2 + noise**2),
        color=green,
        linestyle="--",
        label="log p(x; w)",
    )
    for place, line in ((0.4, ":"), (1.0, "-."), (2.4, "-")):
        bound = elbo_of_a_line(value, *posterior(place), weights_shown)
        right.plot(
            weights_shown, bound, line, color="black", linewidth=1.3, label=f"ELBO, q the posterior of w = {place:g}"
        )
        right.plot(place, log_normal(value, 0, place**2 + noise**2), "o", color="black")
    right.set(xlabel="w, the decoder's weight", ylim=(-4.4, -0.3))
    right.legend(loc="upper right", fontsize="small")
    return figure


lesson.show(bound_of_a_line())

# %% [markdown]
# The two panels are the two things that maximising the ELBO does **at once**:
#
# 1. **With respect to $\phi$** (left), $q$ comes nearer to the posterior $p(\mathbf z \mid \mathbf x; \mathbf w)$, as the evidence itself does not depend on $\phi$: all that can give way is the gap. This solves the search in
#    the haystack, and is what an encoder did for an autoencoder, now with a whole distribution.
# 2. **With respect to $\mathbf w$** (right), the decoder becomes a better model of the images, $\log p(\mathbf x; \mathbf w)$ rises. Each bound touches the dashed curve at one place and is below it everywhere else, so that going up
#    on the bound from there is going up on the curve. This works the better, the nearer $q$ is to the posterior.
#
# And where the posterior is *not* in the family? Let the decoder be $f(z) = z^2$. Now $z$ and $-z$ explain $x$ equally well, the posterior has two peaks, and no normal distribution can be like it. The bound is still a bound; it
# just never touches. With one number everything can be computed on a grid:


# %%
@look.drawn
def bound_of_a_parabola(value=1.5, noise=0.6):
    """Left the posterior with two peaks and the best normal q; right the ELBO against the mean of q."""
    grid = np.linspace(-5, 5, 4001)
    step = grid[1] - grid[0]
    joint = np.exp(log_normal(value, grid**2, noise**2) + log_normal(grid, 0, 1))
    evidence = joint.sum() * step
    means, spreads = np.linspace(-2, 2, 81), np.geomspace(0.08, 1.5, 40)

    def bound(mean, spread_q):
        density = np.exp(log_normal(grid, mean, spread_q**2))
        weight = density / density.sum()
        return float((weight * (np.log(joint + 1e-300) - log_normal(grid, mean, spread_q**2))).sum())

    table = np.array([[bound(mean, spread_q) for spread_q in spreads] for mean in means])
    at, best_spread = divmod(int(table.argmax()), len(spreads))
    mean, spread_q = means[at], spreads[best_spread]
    gap = math.log(evidence) - table.max()
    figure = look.canvas(look.WIDTH, 3.5)
    left, right = figure.subplots(1, 2)
    left.fill_between(grid, joint / evidence, color="#009E73", alpha=0.25, linewidth=0, label="posterior p(z|x)")
    left.plot(grid, np.exp(log_normal(grid, mean, spread_q**2)), color="black", label="best normal q")
    left.plot(grid, np.exp(log_normal(grid, 0, 1)), color=look.QUIET, linestyle=":", label="prior")
    left.set(xlim=(-2.6, 2.6), xlabel="z", ylabel="density", ylim=(0, 2.6))
    left.legend(loc="upper center", fontsize="small", ncols=2)
    right.axhline(math.log(evidence), color="#009E73", linestyle="--", label="log p(x)")
    right.plot(means, table.max(1), color="black", label="ELBO, the spread of q at its best")
    right.set(xlabel="mean of q", ylabel="nats", ylim=(table.max() - 2.2, math.log(evidence) + 0.9))
    right.annotate(
        f"even the best q is\n{gap:.2f} nats below",
        (mean, table.max()),
        (0, table.max() - 1.5),
        ha="center",
        arrowprops={"arrowstyle": "->"},
    )
    right.legend(loc="upper center", fontsize="small")
    return figure


lesson.show(bound_of_a_parabola())

# %% [markdown]
# The best $q$ chooses one peak and ignores the other. That is how this divergence is made: it is an average over draws from $q$, so $q$ is punished wherever it lies where the posterior does not, but not for places that it never visits.
# (The gap is about $\log 2 = 0.69$ nats: what it costs to know only one of two equal halves.)
#
# Last, real images, with the linear decoder from above, where log p(x) and the posterior are known. Four choices of $q$; the last is no member of our family, since its spread differs from component to component:

# %%
mean, spreads = exact_posterior(x)
best = -0.5 * math.log(
    float((1 / spreads**2).mean())
)  # log sigma of the best isotropic q: its precision is the mean of theirs


def isotropic(log_sigma):
    """phi [b, K + 1] with the posterior's mean."""
    return torch.cat([mean, torch.full_like(mean[:, :1], log_sigma)], 1)


families_of_q = {
    "the prior itself": torch.zeros(len(x), K + 1, dtype=torch.float64),
    "posterior mean, spread e times too wide": isotropic(best + 1),
    "posterior mean, best single spread": isotropic(best),
}
print(
    f"mean over {len(x)} test images, in nats per image; the standard deviation over draws is of one image and one draw\n"
)
print(f"{'q':42}{'reconstruction':>15}{'KL':>9}{'ELBO':>12}{'gap':>12}{'over draws':>12}")
for name, q in families_of_q.items():
    torch.manual_seed(1)  # so that the draws here and within elbo are the same
    codes = rsample(q, 20)
    reconstruction, kl = log_p_x(x, decode_linear(codes), sigma), kl_by_sampling(codes, q)
    torch.manual_seed(1)
    bound = elbo(x, q, decode_linear, sigma, 20)
    scatter = torch.stack([elbo(x[:20], q[:20], decode_linear, sigma, 1) for _ in range(20)]).std(0).mean()
    print(
        f"{name:42}{reconstruction.mean():15.1f}{kl.mean():9.1f}{bound.mean():12.1f}{(log_p - bound).mean():12.2f}{scatter:12.2f}"
    )
noise = torch.randn(len(x), 20, K, dtype=torch.float64)
codes = mean[:, None] + spreads * noise  # a diagonal q, the exact posterior
reconstruction = log_p_x(x, decode_linear(codes), sigma)
per_draw = reconstruction - (-0.5 * noise**2 - spreads.log() + 0.5 * codes**2).sum(2)
kl = reconstruction - per_draw
bound = per_draw.mean()
name = "the posterior: one spread per component"
print(
    f"{name:42}{reconstruction.mean():15.1f}{kl.mean():9.1f}{bound:12.1f}{log_p.mean() - bound:12.2f}{per_draw.std(1).mean():12.2f}"
)

# %% [markdown]
# Read the table from top to bottom. The prior tells nothing (KL 0) and reconstructs terribly. With the right place but too wide, much is gained; with the best single spread the gap is smaller still; and with the posterior it is **zero**, and so is
# the scatter: each single draw gives $\log p(\mathbf x)$ exactly. That must be so: $p(\mathbf x, \mathbf z)/p(\mathbf z \mid \mathbf x)$ was the same for every $\mathbf z$. It is also the cancelling of errors from section 4.
#
# Next time the decoder is a real one, nobody knows the posterior, and $q$ has to find it by climbing the ELBO.

# %% [markdown] discuss="bound_or_evidence"
# You maximise the ELBO with respect to the decoder's weights while the family of $q$ is too small for the posterior. Which decoders does this favour, compared with maximising $\log p(\mathbf x)$ itself? Is that a fault, or can it be a help?
# Look at the right panel of the figure with the three bounds while you talk.
