# ---
# lesson:
#   id: "11"
#   title: Looking back, and where VAEs went
#   goals:
#     - say what each lesson added, from squared error to a distribution over codes
#     - run the whole comparison of the course on images of your own with one command, and read its report
#     - check two kinds of calibration, of all codes against the prior, and of each q against the codes that made the image
#     - name where VAEs are used today, and what became of their weaknesses
#   references:
#     - "Kingma & Welling, 2019, An introduction to variational autoencoders, https://arxiv.org/abs/1906.02691"
#     - "Hoffman & Johnson, 2016, ELBO surgery: yet another way to carve up the variational evidence lower bound, http://approximateinference.org/accepted/HoffmanJohnson2016.pdf"
#     - "Zhao, Song & Ermon, 2017, Towards deeper understanding of variational autoencoding models, https://arxiv.org/abs/1702.08658"
#     - "Alemi, Poole, Fischer, Dillon, Saurous & Murphy, 2018, Fixing a broken ELBO, https://arxiv.org/abs/1711.00464"
#     - "Zhao, Song & Ermon, 2018, The information autoencoding family, https://arxiv.org/abs/1806.06514"
#     - "Talts, Betancourt, Simpson, Vehtari & Gelman, 2018, Validating Bayesian inference algorithms with simulation-based calibration, https://arxiv.org/abs/1804.06788"
#     - "Higgins et al., 2017, beta-VAE, https://openreview.net/forum?id=Sy2fzU9gl"
#     - "Locatello et al., 2019, Challenging common assumptions in the unsupervised learning of disentangled representations, https://arxiv.org/abs/1811.12359"
#     - "van den Oord, Vinyals & Kavukcuoglu, 2017, Neural discrete representation learning (VQ-VAE), https://arxiv.org/abs/1711.00937"
#     - "Razavi, van den Oord & Vinyals, 2019, Generating diverse high-fidelity images with VQ-VAE-2, https://arxiv.org/abs/1906.00446"
#     - "Vahdat & Kautz, 2020, NVAE, https://arxiv.org/abs/2007.03898"
#     - "Child, 2021, Very deep VAEs, https://arxiv.org/abs/2011.10650"
#     - "Sohl-Dickstein, Weiss, Maheswaranathan & Ganguli, 2015, Deep unsupervised learning using nonequilibrium thermodynamics, https://arxiv.org/abs/1503.03585"
#     - "Ho, Jain & Abbeel, 2020, Denoising diffusion probabilistic models, https://arxiv.org/abs/2006.11239"
#     - "Kingma, Salimans, Poole & Ho, 2021, Variational diffusion models, https://arxiv.org/abs/2107.00630"
#     - "Rombach, Blattmann, Lorenz, Esser & Ommer, 2022, High-resolution image synthesis with latent diffusion models, https://arxiv.org/abs/2112.10752"
#     - "Ha & Schmidhuber, 2018, World models, https://arxiv.org/abs/1803.10122"
#     - "Gómez-Bombarelli et al., 2018, Automatic chemical design using a data-driven continuous representation of molecules, https://arxiv.org/abs/1610.02415"
#     - "Lopez, Regier, Cole, Jordan & Yosef, 2018, Deep generative modeling for single-cell transcriptomics (scVI), https://doi.org/10.1038/s41592-018-0229-2"
#     - "Pandarinath et al., 2018, Inferring single-trial neural population dynamics using sequential auto-encoders (LFADS), https://doi.org/10.1038/s41592-018-0109-9"
#     - "Bowman et al., 2016, Generating sentences from a continuous space, https://arxiv.org/abs/1511.06349"
#     - "Kingma, Rezende, Mohamed & Welling, 2014, Semi-supervised learning with deep generative models, https://arxiv.org/abs/1406.5298"
# ---

# %% [markdown] section="1" title="The way up, in one picture" minutes=6
# Eleven lessons ago there was a pile of images and no idea what to do with them but sort them by labels that somebody else had to write. Look at what
# you have put on top of one another since then. No step was large.

# %%
import numpy as np
import torch

from lowerbound import comparison, course, figures, look, rates
from lowerbound.aggregate import decompose
from lowerbound.course.journal import Journal
from lowerbound.images import ImageSet
from lowerbound.plan import Plan
from lowerbound.progress import terminal

AE, VAE, CRAFT = "#d7e8f4", "#f3dcea", "#ececec"
STEPS = (
    ("0", "images", "look first; labels are the exception", CRAFT),
    ("1", "linear autoencoder, PCA", "K numbers per image, least squared error: a plane", AE),
    ("2", "convolutions", "a bent sheet: the same error from fewer numbers", AE),
    ("3", "codes", "a map of images; half way between two there may be none", AE),
    ("4", "h becomes z ~ p(z)", "a model that generates, and log p(x) to judge it", VAE),
    ("5", "q(z|x) and the ELBO", "reconstruction less KL, a bound on log p(x)", VAE),
    ("6", "the ELBO at work", "q of one image, found by climbing", VAE),
    ("7", "the VAE", "an encoder that finds q for all, sigma learned", VAE),
    ("8", "diagnosis", "what is wrong when it does not work", CRAFT),
    ("9", "tricks", "rsample, amortised, IWAE, learned priors", CRAFT),
    ("10", "how many K?", "variance is a rough guide", CRAFT),
)


def step_of(left, bottom, width, height, colour):
    """One step of the staircase."""
    from matplotlib.patches import Rectangle

    return Rectangle((left, bottom), width, height, facecolor=colour, edgecolor="white", linewidth=1.5)


@look.drawn
def the_way_up(steps):
    """A staircase from images to the VAE and beyond: what each lesson added."""
    figure = look.canvas(look.WIDTH, 5.0, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    shift = 0.28
    for height, (number, title, added, colour) in enumerate(steps):
        left = 0.1 + shift * height
        axes.add_patch(step_of(left, 0.12 + 0.43 * height, 7.85 - left, 0.40, colour))
        axes.text(left + 0.12, 0.32 + 0.43 * height, number, va="center", weight="bold", fontsize=10)
        axes.text(left + 0.45, 0.32 + 0.43 * height, title, va="center", weight="bold", fontsize=8.5)
        axes.text(7.75, 0.32 + 0.43 * height, added, va="center", ha="right", fontsize=8)
    for place, (words, colour) in enumerate((("autoencoders", AE), ("probability", VAE), ("craft", CRAFT))):
        axes.add_patch(step_of(0.12, 4.55 - 0.3 * place, 0.22, 0.2, colour))
        axes.text(0.42, 4.65 - 0.3 * place, words, va="center", fontsize=8.5)
    axes.set(xlim=(0, 8), ylim=(0, 5))
    axes.set_axis_off()
    return figure


lesson.show(the_way_up(STEPS))

# %% [markdown]
# Read from the bottom, it is one idea told more and more fully: **an image is explained by a few numbers.** First the numbers only had to bring the image back. Then we asked where
# they lie, and what happens between them. Then we asked for a model one could *draw* from, and that needed a prior. With a prior there had to be a posterior; it
# cannot be had exactly, so there is $q$ and a bound; and a bound that is easy to raise is a network that can be trained:
#
# $$\log p(x)\;\ge\;\color{#0072B2}{\mathbb E_{q(z|x)}[\log p(x|z)]}\;-\;\color{#D55E00}{\mathrm{KL}\big(q(z|x)\,\|\,p(z)\big)} .$$
#
# **Your own words.** What you wrote on the way (the recap, linear autoencoder against PCA, the interpolation, the dimensions, and all the rest) is in the file beside this notebook. Run
# the cell and read it as if somebody else had written it.

# %%
record = Journal(lesson.folder).read()
written = {kind: record.latest(kind) for kind in ("recap", "response", "discuss")}
if not any(written.values()):
    print("nothing is written in this folder yet; answers of other folders are in the journals there")
for kind, answers in written.items():
    for question, text in answers.items():
        print(f"{kind}, {question}: {text}\n")

# %% [markdown] response="changed_my_mind"
# Which of your earlier answers would you give differently now? What made you change your mind: a number, a picture, or an argument?

# %% [markdown] section="2" title="One command for the whole course" minutes=9
# Everything from lesson 1 to lesson 7, on images of your own, is one command in a terminal:
#
#     lowerbound compare mnist -k 20            # or cifar10, or a folder of your photographs
#
# It trains PCA, a linear autoencoder, a convolutional autoencoder and a VAE with the same $K$, measures all of them on test images that none has seen, and writes a folder with
# models, numbers, figures and one page, `report.html`. Here the same is called from Python, with the images of this lesson; in the fast mode every network gets half a minute, with
# `full=True` at the top its whole recipe. **Before you run it, write down (in your head, if you
# must) in which order the four will come in test error, and why.**

# %%
K = lesson.suggested_k
images = ImageSet(lesson.images.name, lesson.train, lesson.test, lesson.images.class_names, source=lesson.images.source)
large = images.train.pixels.size > 2_000_000
half_a_minute = (
    {"minutes": 0.5} if large and not lesson.full and not lesson.only_tried else {}
)  # for each model; else its own epochs
plan = Plan((K,), epochs=1 if lesson.only_tried else None, settings=half_a_minute)
run = comparison.begin(images, plan)
print(f"{run.path} is made")

# %%
comparison.go_on(run, images, progress=terminal)
print(f"open {run.path / 'report.html'} in a browser: all figures, all numbers, and what they mean")

# %%
models = {stored.recipe: run.load(stored) for stored in run.shown}
measured = {row["model"]: row for row in run.metrics}
print(f"{'model':>8} {'test MSE':>18} {'log p(x) or its bound':>24} {'seconds':>8}")
for name, row in measured.items():
    mse, score = row["mse"], row["score"]
    nats = "no density" if score is None else f"{score['mean']:10.1f} ± {score['standard_error']:.1f}"
    print(f"{name:>8} {mse['mean']:10.5f} ± {mse['standard_error']:.5f} {nats:>24} {row['seconds']:8.1f}")
print("MSE per pixel, pixels in [0, 1]; nats per image with all constants; ± one standard error over test images")
for name, row in measured.items():
    bound = row["score"]["mean"] if name == "vae" else None
    lesson.ran(name, K, test_mse=row["mse"]["mean"], elbo=bound)

# %%
shown = lesson.test.pixels[:7]
rebuilt = {name: model.inverse_transform(model.transform(shown)) for name, model in models.items()}
lesson.show(
    figures.reconstructions(shown, rebuilt, errors={name: row["mse"]["mean"] for name, row in measured.items()}, k=K)
)

# %% [markdown]
# And what the decoders make of random codes $z\sim\mathcal N(0,I)$. For PCA these are stretched to the spread of the images along each component.

# %%
codes = np.random.default_rng(4).normal(size=(16, K)).astype(np.float32)
drawn = {"pca": models["pca"].sample(16)}
drawn |= {name: models[name].inverse_transform(codes) for name in ("conv", "vae")}
lesson.show(figures.samples_grid(drawn, prior="N(0, I), in PCA's case along its components"))

# %% [markdown]
# Two readings of one table, and both are right:
#
# - **Error.** PCA is the best *linear* model, so the linear autoencoder can at most come near it. The convolutional autoencoder does better with the same $K$. The VAE is a little worse than that:
#   part of its effort goes into keeping codes near the prior.
# - **Generation.** The VAE was *told* where its codes should lie; its error in the first column is what that cost. But look at the convolutional autoencoder: its draws are not the noise you saw in
#   lessons 4 and 9! lowerbound starts this network at PCA, with a spread of 1 in every direction of the codes, and a short training has not carried it far. So it *happens* to be near the prior. Nothing
#   holds it there; in the VAE the KL does. One has to know how a model was started before one says why its samples look good.
#
# A density of 8-bit pixels (third column) compares models of these pixels with each other; it is not the log-probability of your images, and says nothing about samples by itself.

# %% [markdown] discuss="four_models"
# Did the four come in the order you expected? If someone in your group used other images or another $K$: what stays the same, and what does not?

# %% [markdown] section="3" title="Is it calibrated?" minutes=8
# A model that speaks of probabilities can be asked whether it means them. There are two questions, and a good ELBO answers neither.
#
# **First: do all the $q$s together make up the prior?** When you generate, you draw $z\sim p(z)$. The decoder was trained on codes of images, that is on the *aggregate posterior*
# $q(z)=\frac1N\sum_n q(z|x_n)$. Where the two differ, the decoder is asked about places it never saw. Hoffman and Johnson (2016) took the KL term apart and found the two sides of it:
#
# $$\color{#D55E00}{\frac1N\sum_n\mathrm{KL}\big(q(z|x_n)\,\|\,p(z)\big)}\;=\;\underbrace{I(x;z)}_{\text{what codes say about images}}\;+\;\underbrace{\mathrm{KL}\big(q(z)\,\|\,p(z)\big)}_{\text{how far the cloud is from the prior}} .$$
#
# The first part is what we want from a code; only the second harms generation. The KL term punishes both. That is the reason for a whole family of objectives that weigh the two apart (Zhao et al., 2017 and
# 2018), and for drawing models as points of *rate* against *distortion*, where one ELBO value is a line along which very different models lie (Alemi et al., 2018).

# %%
vae = models["vae"]
number = 100 * lesson.steps(fast=20, full=50) if not lesson.only_tried else 200
split = decompose(vae, lesson.test.pixels, number=number, progress=terminal)
terms = {"mutual information I(x; z)": split.mutual_information, "KL(q(z) || p(z))": split.divergence}
lesson.show(
    rates.rate_split(
        (split.rate.mean, split.rate.standard_error),
        {name: (each.mean, each.standard_error) for name, each in terms.items()},
        limit=(f"log N of {split.images:,} images", split.limit),
    )
)
if split.warning:
    print(f"note: {split.warning}")

# %% [markdown]
# Read it with the note in mind: codes can at most tell $N$ images apart, so $I(x;z)$ cannot pass $\log N$. With a few thousand images and a sharp $q$ it always sits there, and the rest of
# the rate is put down to the cloud. More images would move nats from the second bar to the first.
#
# **Second: is each $q$ as wide as it should be?** For an image from the world nobody knows the true code. But for an image *from the model* we do: draw $z\sim p(z)$, then $x\sim p(x|z)$, noise included. Now ask the
# encoder. If $q(z|x)$ is right, then over many draws the true $z$ lies around $q$'s mean by $q$'s own standard deviation, no more and no less:
#
# $$u_k=\frac{z_k-\mu_k(x)}{\sigma_k(x)}\quad\text{should be spread like}\quad\mathcal N(0,1).$$
#
# This is simulation-based calibration (Talts et al., 2018) in its simplest form. If the $u$ are too wide, $q$ is *overconfident*.

# %%
torch.manual_seed(2)
with torch.no_grad():
    z = vae.prior().sample((number,))
    x = torch.cat([vae.decoder(some).sample() for some in z.split(100)])
    q = [vae.encoder(some) for some in x.split(100)]
    u = torch.cat([(some - each.mean) / each.stddev for some, each in zip(z.split(100), q, strict=True)]).numpy()
    means = torch.cat([vae.encoder(course.floats(lesson.test.pixels[:number])).sample()]).numpy()


@look.drawn
def calibration(u, cloud):
    """Left, codes of all images beside the prior, number by number; right, true codes around q, in units of q's spread."""
    figure = look.canvas(look.WIDTH, 3.4)
    left, right = figure.subplots(1, 2)
    grid = np.linspace(-4, 4, 161)
    density = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    edges = np.linspace(-4, 4, 41)
    for k in range(cloud.shape[1]):
        left.stairs(
            np.histogram(np.clip(cloud[:, k], -4, 4), edges, density=True)[0],
            edges,
            color=look.QUIET,
            alpha=0.35,
            linewidth=0.8,
        )
    left.plot(grid, density, color=look.KL, linewidth=2.2, label="p(z) = N(0, 1)")
    left.plot([], [], color=look.QUIET, linewidth=1, label="each number of the codes")
    left.set(xlabel="z", ylabel="density", title="codes of all test images")
    reach = max(4.0, float(np.quantile(np.abs(u), 0.995)))
    right.hist(
        np.clip(u, -reach, reach).ravel(),
        60,
        range=(-reach, reach),
        density=True,
        color=look.model_style("vae").colour,
        alpha=0.7,
        label="true z around q's mean",
    )
    right.plot(grid, density, color="black", linestyle="--", linewidth=1.5, label="if q were right: N(0, 1)")
    right.set(xlabel="(z less mean) / standard deviation of q", title="images drawn from the model")
    for axes in (left, right):
        axes.set_ylim(0, 1.45 * max(axes.get_ylim()[1] / 1.05, 0.4))
        axes.legend(fontsize="small", loc="upper right")
    return figure


lesson.show(calibration(u, means))
print(f"within one standard deviation of q: {np.mean(np.abs(u) < 1):.0%} of the true codes; 68 % if q were right")
print(f"the true codes scatter by {u.std():.2f} of q's standard deviation; 1 if q were right")

# %% [markdown]
# An encoder that was trained for a minute is mostly overconfident: its mean is off by several times the width that it claims. Three reasons come together. The divergence in the ELBO, $\mathrm{KL}(q\,\|\,p(z|x))$, likes a $q$ that is too
# narrow: it punishes $q$ for being where the posterior is not, and hardly for leaving out where it is. The encoder is one network for all images (lesson 9: the amortisation gap). And images drawn from the model are not
# those that the encoder was trained on, as far as the first question is answered with no. Nothing in the ELBO's value would have told you.

# %% [markdown] response="calibrated"
# Your VAE's $q$: too wide, too narrow, or about right? What would you change first: a longer training, a richer family than one $\sigma$ for all directions (lesson 5), or more draws (lesson 9)?

# %% [markdown] section="4" title="Where VAEs went" minutes=9 video="IDTq8muSySQ" video_title="Wrapping up, and examples of what VAEs are used for"
# The plain VAE of lesson 7 is from 2014, and its samples are soft. Here is what people made of it. Read what interests you; the links are under the references.
#
# **Sharper images.** *VQ-VAE* (van den Oord et al., 2017) makes the code a grid of symbols from a learned dictionary: no Gaussian, no posterior to be too narrow, and a strong prior over symbols, learned
# afterwards. *VQ-VAE-2* (Razavi et al., 2019) has such grids at two scales, and draws faces and animals at photograph size. *NVAE* (Vahdat & Kautz, 2020) and *Very Deep VAE* (Child, 2021) keep Gaussians but stack
# dozens of layers of codes, coarse ones first: **hierarchical VAEs.** Their likelihoods passed those of models that draw pixel by pixel.
#
# **Diffusion models are hierarchical VAEs** with a twist: the *encoder has nothing to learn*. Each level adds a little noise to the one before until nothing is left but $\mathcal N(0,I)$; only the decoder, which takes the noise away step by
# step, is trained, and its loss is an ELBO (Sohl-Dickstein et al., 2015; Ho et al., 2020; Kingma et al., 2021):
#
# $$\log p(x)\ge\color{#0072B2}{\mathbb E_q[\log p(x|z_1)]}-\sum_{t=2}^{T}\color{#D55E00}{\mathbb E_q\,\mathrm{KL}\big(q(z_{t-1}|z_t,x)\,\|\,p(z_{t-1}|z_t)\big)}-\color{#D55E00}{\mathrm{KL}\big(q(z_T|x)\,\|\,p(z_T)\big)} .$$
#
# Here is that encoder, at work on one of your images:


# %%
@look.drawn
def a_fixed_encoder(rows, kept):
    """An image on its way to noise: the encoder of a diffusion model."""
    figure = look.canvas(look.WIDTH, 1.55)
    for axes, image, share in zip(figure.subplots(1, len(rows)), rows, kept, strict=True):
        axes.imshow(np.clip(image, 0, 1).transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"{share:.0%} image", fontsize="x-small", loc="center")
        axes.set_axis_off()
    return figure


steps = np.linspace(0, 1, 8)
kept = np.cos(steps * np.pi / 2) ** 2  # the share of the variance that is still the image
noise = np.random.default_rng(0).normal(size=lesson.image_shape)
picture = lesson.test.pixels[0] / 127.5 - 1
levels = [0.5 + 0.5 * (np.sqrt(share) * picture + np.sqrt(1 - share) * noise) for share in kept]
lesson.show(a_fixed_encoder(levels, kept))

# %% [markdown]
# And the two are used together. In *latent diffusion* (Rombach et al., 2022), which is behind well-known text-to-image programs, a VAE with a very light KL brings a large image to a small grid of codes, and a diffusion model is the **learned prior**
# on these codes: lesson 9, section 5, with a very strong prior.
#
# **Models of worlds.** *World models* (Ha & Schmidhuber, 2018) let a VAE compress what an agent sees, learn how the codes move, and train the agent in dreams of its own.
#
# **Molecules.** Gómez-Bombarelli et al. (2018) put molecules (as text) into a continuous code, and search *there*, by gradients, for ones with the properties they want. Your interpolation of lesson 3, with chemistry.
#
# **Cells and brains.** *scVI* (Lopez et al., 2018) is a VAE for counts of genes in single cells: its likelihood is a distribution of counts, not a Gaussian, and the batch that a cell was measured in is given to the decoder so that
# it need not be in the code. *LFADS* (Pandarinath et al., 2018) infers the dynamics behind the spikes of many neurons in single trials. In both, $q$ is the *result*, not a means to pictures.
#
# **Words.** Bowman et al. (2016) tried sentences, and met a decoder so strong that it ignored the code: *posterior collapse*, one of your sick models in lesson 8.
#
# **Few labels.** Kingma et al. (2014) added the label as one more latent variable, seen for some images and inferred for the rest: semi-supervised learning, where lesson 0 began.
#
# **What single numbers mean.** The *beta-VAE* (Higgins et al., 2017) weighs the KL by $\beta>1$ in the hope that each number of the code comes to stand for one thing: width, tilt, colour. Locatello et al. (2019) trained thousands of such models and found
# that without labels or other assumptions this cannot be had in general, and that chance and settings decide more than the objective does. A lesson in itself: a striking picture of one run is not yet a result.
#
# | want | a VAE's answer | what people add |
# |---|---|---|
# | sharp samples | soft, as squared error per pixel asks for averages | hierarchies, discrete codes, diffusion as a prior |
# | a likelihood | a bound with two gaps | IWAE, richer $q$, many levels |
# | a representation | $q(z\mid x)$ in one pass | weights on the two parts of the rate, labels |
# | to know how sure it is | $q$'s width | calibration (section 3), richer families |

# %% [markdown] discuss="your_field"
# Take a kind of data from *your* field that is not an image. What would be $x$? What would be a good $p(x|z)$ (a Gaussian? counts? yes or no?)? What would you do with $q(z|x)$?

# %% [markdown] section="5" title="What you take home" minutes=6
# A few sentences to check yourself by. If one of them does not sound obvious, the lesson in brackets is worth another look.
#
# - A linear autoencoder finds PCA's plane, but not its axes. (1)
# - A map of codes is in the eye of the decoder: without a prior, between two codes there may be nothing. (3, 4)
# - $\log p(x)$ needs an integral over codes, and nearly all codes are useless for a given image; $q$ says where to look. (4, 5)
# - The ELBO is $\log p(x)$ less what $q$ lacks; one number, two jobs: better $q$ and better model. (5, 6)
# - $\sigma$ of the pixels is the exchange rate between $\color{#0072B2}{\text{reconstruction}}$ and $\color{#D55E00}{\mathrm{KL}}$. (6, 7, 9)
# - When a VAE fails, look at the two terms apart, then at the dimensions, then at the samples. (8)
# - Variance is not meaning. (10)
# - A good bound is not a calibrated posterior. (11)
#
# **Where to go from here.** Read Kingma and Welling's own introduction (2019): after this course you know most of it. Take the report of section 2 and change one thing: `lowerbound train` has other likelihoods, posteriors, priors and objectives, and
# `lowerbound train --help` lists them. Or give it a folder of images that *you* care about.

# %% [markdown] response="explain"
# Explain to a friend who knows PCA, in five sentences and without a formula, what a VAE is and what it is good for.

# %% [markdown] response="still_unclear"
# What is still unclear? What would you like to know next?

# %% [markdown] discuss="whole_course"
# With your group: which step of the staircase was the highest? Which picture will you still remember in a year? What would you tell next year's group before they start?
