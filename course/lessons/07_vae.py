# ---
# lesson:
#   id: "07"
#   title: The convolutional VAE
#   goals:
#     - turn a convolutional autoencoder into a variational one, with a noise that it learns
#     - train it on the ELBO, and see reconstruction, KL and sigma apart from each other
#     - generate new images, interpolate, and show what q leaves open about an image
#     - report its ELBO and its error on test images, in units that others can compare
#   references:
#     - "Kingma & Welling, 2014, Auto-encoding variational Bayes, https://arxiv.org/abs/1312.6114"
#     - "Rezende, Mohamed & Wierstra, 2014, Stochastic backpropagation and approximate inference in deep generative models, https://arxiv.org/abs/1401.4082"
#     - "Rybkin, Daniilidis & Levine, 2021, Simple and effective VAE training with calibrated decoders, https://arxiv.org/abs/2006.13202"
#     - "Theis, van den Oord & Bethge, 2016, A note on the evaluation of generative models, https://arxiv.org/abs/1511.01844"
#     - "Hoffman & Johnson, 2016, ELBO surgery: yet another way to carve up the variational evidence lower bound, http://approximateinference.org/2016/accepted/HoffmanJohnson2016.pdf"
# ---

# %% [markdown] section="1" title="The big picture" minutes=4 video="QPPCjiN7UIk" video_title="VAEs: the big picture"
# You have all the pieces: an encoder and a decoder with convolutions (lesson 2), draws from $q$, the two terms of the ELBO (lesson 5), and the reason why nobody wants to find $q$ for each image by hand (lesson 6).
# Here they become one machine. It does not take much: three changes to the convolutional autoencoder.
#
# | | convolutional autoencoder | convolutional VAE |
# |---|---|---|
# | the first half gives | a code $\mathbf h$: $K$ numbers | $\phi$: $K + 1$ numbers, a mean and a $\log\sigma$: `infer` |
# | the second half gets | that code | codes drawn from $q(\mathbf z; \phi)$, `number` of them per image: `generate` |
# | what it gives | an image | the *mean* of $p(\mathbf x \mid \mathbf z)$, a normal distribution with the noise $\sigma_x$, which is a parameter like the weights |
# | what training does | lowers the squared error | raises the ELBO: `elbo` |
#
# **All weights at once.** In lesson 6 we moved $\phi$ and the model in turns. Now a recognition model makes $\phi$ from the image, so one gradient moves its weights *and* the decoder's, in the same step, on the same number:
#
# $$\text{ELBO}(\mathbf x) = {\color{#0072B2}{\mathbb E_{q(\mathbf z; \phi)} \log p(\mathbf x \mid \mathbf z)}} - {\color{#D55E00}{\mathrm{KL}\big(q(\mathbf z; \phi) \,\|\, p(\mathbf z)\big)}},
# \qquad \phi = \mathtt{infer}(\mathbf x).$$
#
# This lesson can be done in the group or alone, as homework. It needs nothing from the other lessons' notebooks, and has a hand-in of its own at its end.

# %%
import math

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound import course, curves, figures, look, schematic

PixelBias = lesson.piece("PixelBias")
ConvAutoencoder = lesson.piece("ConvAutoencoder")
train_autoencoder = lesson.piece("train_autoencoder")
rsample = lesson.piece("rsample")
log_p_x = lesson.piece("log_p_x")
kl_closed_form = lesson.piece("kl_closed_form")
interpolate = lesson.piece("interpolate")

K = min(lesson.suggested_k, len(lesson.train) - 1)
P = math.prod(lesson.image_shape)
planes, side = 32, lesson.filter_size
channels, height, width = lesson.image_shape
inner = (height - side + 1, width - side + 1), (height - 2 * side + 2, width - 2 * side + 2)
words = f"{side}x{side} convolution, ReLU"
back = f"{side}x{side} transposed convolution"
lesson.show(
    schematic.schematic(
        [
            schematic.Plane(lesson.image_shape, "", "encoder"),
            schematic.Plane((planes, *inner[0]), f"offset, {words}", "encoder"),
            schematic.Plane((planes, *inner[1]), words, "encoder"),
            schematic.Plane((K + 1,), "linear: mean and log σ", "encoder"),
            schematic.Plane((K,), "a draw from q", "code"),
            schematic.Plane((planes, *inner[1]), "linear, ReLU", "decoder"),
            schematic.Plane((planes, *inner[0]), f"{back}, ReLU", "decoder"),
            schematic.Plane(lesson.image_shape, f"{back}, offset", "decoder"),
        ]
    )
)

# %% [markdown] section="2" title="Build it" minutes=10
# **Exercise.** Write `ConvVAE`. It has the layers of your `ConvAutoencoder`; what is new:
#
# - the recognition model's last layer has $K + 1$ outputs;
# - `log_sigma` is an `nn.Parameter` with a single number, $\log\sigma_x$: its logarithm, so that $\sigma_x$ stays above zero wherever Adam takes it;
# - `generate` gets codes `[b, n, K]`, so many draws for each image. Layers know one batch axis, not two: put both together on the way in (`flatten(0, 1)`) and apart on the way out (`unflatten(0, (b, n))`);
# - `elbo` puts it together. Take the average over the draws, not over the images: one number for each image, in nats, with all constants.
#
# For the KL you may use `kl_closed_form`, which is exact, where a few draws would only be nearly right.

# %% exercise="ConvVAE"
class ConvVAE(nn.Module):
    """A variational autoencoder of two convolutions and two transposed ones, with one learned noise for all pixels."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int, planes: int = 32, filter_size: int = 5):
        super().__init__()
        channels, height, width = image_shape
        lost = 2 * (filter_size - 1)  # in height and in width, by two convolutions without padding
        small = (planes, height - lost, width - lost)
        flat = math.prod(small)
        # BEGIN SOLUTION
        #> self.recognition = ...    # nn.Sequential of PixelBias, Conv2d, ReLU, Conv2d, ReLU, Flatten, Linear to phi
        #> self.density = ...        # of Linear, ReLU, Unflatten(-1, small), ConvTranspose2d, ReLU, ConvTranspose2d, PixelBias
        #> self.log_sigma = ...      # a parameter, one number, at 0 to begin with
        self.recognition = nn.Sequential(
            PixelBias(image_shape),
            nn.Conv2d(channels, planes, filter_size),
            nn.ReLU(),
            nn.Conv2d(planes, planes, filter_size),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(flat, latent_dim + 1),
        )
        self.density = nn.Sequential(
            nn.Linear(latent_dim, flat),
            nn.ReLU(),
            nn.Unflatten(-1, small),
            nn.ConvTranspose2d(planes, planes, filter_size),
            nn.ReLU(),
            nn.ConvTranspose2d(planes, channels, filter_size),
            PixelBias(image_shape),
        )
        self.log_sigma = nn.Parameter(torch.zeros(()))
        # END SOLUTION

    def infer(self, x: Tensor) -> Tensor:
        """phi [b, K+1] of images [b, C, H, W]."""
        # BEGIN SOLUTION
        #> return ...
        return self.recognition(x)
        # END SOLUTION

    def generate(self, codes: Tensor) -> Tensor:
        """Means of p(x|z), [b, n, C, H, W], of codes [b, n, K]."""
        # BEGIN SOLUTION
        #> flat_codes = ...    # [b * n, K]
        #> return ...          # decoded, and [b, n, C, H, W] again
        flat_codes = codes.flatten(0, 1)
        return self.density(flat_codes).unflatten(0, codes.shape[:2])
        # END SOLUTION

    def elbo(self, x: Tensor, number: int = 1) -> Tensor:
        """The ELBO of each image, nats [b], from so many draws of its q."""
        # BEGIN SOLUTION
        #> phi = ...
        #> codes = ...             # number draws of each q
        #> reconstruction = ...    # log p(x|z), averaged over the draws; the noise is exp(log_sigma)
        #> return ...
        phi = self.infer(x)
        codes = rsample(phi, number)
        reconstruction = log_p_x(x, self.generate(codes), self.log_sigma.exp()).mean(1)
        return reconstruction - kl_closed_form(phi)
        # END SOLUTION

# %%
ConvVAE = lesson.check("ConvVAE", ConvVAE)

# %% [markdown] section="3" title="A trap: who earns the nats?" minutes=5
# Before we train, a warning about the curve that you are going to see. $\sigma_x$ is a parameter like any other, and the ELBO depends on it a lot. With the mean squared error per pixel, $\mathrm{MSE}$,
#
# $${\color{#0072B2}{\log p(\mathbf x \mid \mathbf z)}} = -\frac P2 \log\!\big(2\pi\sigma_x^2\big) - \frac{P \cdot \mathrm{MSE}}{2\sigma_x^2}.$$
#
# The first term is multiplied by $P$, the number of values in an image. Each time $\sigma_x$ is halved it brings $P \log 2$ nats, hundreds or thousands, as long as the error allows it. And Adam moves
# every parameter by about one learning rate per step, no matter how large its gradient is. So $\log\sigma_x$ walks at a constant pace, and takes the ELBO along.
#
# The next cell lets Adam move $\log\sigma_x$ *alone*, for a model that learns nothing at all: its error stays where it is.

# %%
def sigma_alone(start, error, steps, rate):
    """Adam on log sigma while the error stays as it is: sigma, and log p(x|z) in nats per image, at every step."""
    log_sigma = torch.tensor(math.log(start), requires_grad=True)
    adam = torch.optim.Adam([log_sigma], lr=rate)
    values = []
    for _ in range(steps):
        variance = (2 * log_sigma).exp()
        bound = -0.5 * P * ((2 * math.pi * variance).log() + error / variance)
        adam.zero_grad()
        (-bound).backward()
        adam.step()
        values.append((math.sqrt(variance.item()), bound.item()))
    return np.array(values).T


@look.drawn
def the_trap(error=0.01, steps=280, rate=0.01):
    """Sigma and the bound of a model that learns nothing, from two starts."""
    figure = look.canvas(look.WIDTH, 3.4)
    left, right = figure.subplots(1, 2)
    starts = ((1.0, "-", "log σ begins at 0"), (error**0.5, "--", "σ begins at the root of the MSE"))
    for start, line, label in starts:
        sigma, bound = sigma_alone(start, error, steps, rate)
        left.plot(sigma, line, color="black", label=label)
        right.plot(bound, line, color=look.RECONSTRUCTION, label=label)
    left.set(xlabel=f"step of Adam, rate {rate:g}", ylabel="σ of the pixels", ylim=(0, 1.05), title="A constant pace in log σ")
    right.set(xlabel=f"step of Adam, rate {rate:g}", ylabel="nats per image", title="Nats for nothing: log p(x|z) at a fixed error")
    left.legend()
    return figure


lesson.show(the_trap())
print(f"from sigma 1 to 0.1 the term brings {P * math.log(10):,.0f} nats; it takes Adam {math.log(10) / 0.01:,.0f} steps at this rate, {math.log(10) / 1e-3:,.0f} at our 0.001")

# %% [markdown]
# The solid line looks like a model that trains beautifully. Nothing was trained: a straight line in an ELBO curve is $\sigma_x$ on its way. Worse, while $\sigma_x$ is far too large, errors cost nearly nothing and the KL weighs
# heavily, so the codes are pressed to the prior and the decoder sees no reason to learn; with $\sigma_x$ far too small it is the other way round.
#
# Two things help.
#
# 1. **Begin where $\sigma_x$ belongs.** Setting the derivative with respect to $\sigma_x^2$ to zero gives $\sigma_x^2 = \mathrm{MSE}$ (lesson 5). Of the model that we do not have yet we do not know the error, but PCA with $K$ components is a fair guess,
#    and it is there in a second. `lesson.fast_start` sets `log_sigma` to it, and the per-pixel offsets to the mean image.
# 2. **Plot the parts.** Reconstruction, KL and $\sigma_x$, each by itself. Only then can you see who earns the nats.

# %% [markdown] section="4" title="Train it" minutes=8
# **Exercise.** Write what happens for each batch in `train_vae`. It is your training loop from lesson 1 with another objective: the mean ELBO of the batch, taken from `number` draws for each image. The rest is Adam's.
#
# More draws give a steadier gradient and cost as many passes through the decoder; since the batch averages over many images already, one draw will do. But if `number` is asked for, it must be *used*:
# an argument that nobody reads is the kind of mistake that no error message tells you.

# %% exercise="train_vae"
def train_vae(model: nn.Module, pixels: np.ndarray, epochs: int, number: int = 1, batch_size: int = 100) -> list[float]:
    """Raise the ELBO of images uint8 [N, C, H, W]; gives the mean ELBO of every batch, nats per image."""
    device = next(model.parameters()).device
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-6)
    bounds = []
    model.train()
    every = (x for epoch in range(epochs) for x in course.batches(pixels, batch_size, seed=epoch))
    for x in course.track(every, "training", total=epochs * math.ceil(len(pixels) / batch_size)):
        # BEGIN SOLUTION
        #> bound = ...    # mean ELBO of the batch x, which goes to the device first, with number draws
        #> ...            # clear the gradients, take new ones, step: up
        #> ...            # note the bound as a plain number
        bound = model.elbo(x.to(device), number).mean()
        adam.zero_grad()
        (-bound).backward()
        adam.step()
        bounds.append(bound.item())
        # END SOLUTION
    model.eval()
    return bounds

# %%
train_vae = lesson.check("train_vae", train_vae)

# %% [markdown]
# Now for real. To see the parts, we let `infer` note on the way what the KL was and where $\sigma_x$ stood; the reconstruction is what is left, $\text{ELBO} + \mathrm{KL}$. Meanwhile: what do you expect of $\sigma_x$,
# which begins at PCA's error? Will it fall or rise first?

# %%
notes = {"kl": [], "sigma": []}


class WatchedVAE(ConvVAE):
    """The same model; while it trains it notes KL and sigma of every batch."""

    def infer(self, x):
        phi = super().infer(x)
        if self.training:
            notes["kl"].append(kl_closed_form(phi.detach()).mean().item())
            notes["sigma"].append(self.log_sigma.exp().item())
        return phi


torch.manual_seed(7)
vae = WatchedVAE(lesson.image_shape, K, planes, side)
lesson.fast_start(vae, lesson.train.pixels, K)
vae.to(lesson.device)
draws, batch_size = (10, 100) if lesson.full else (1, 50)
bounds = train_vae(vae, lesson.train.pixels, epochs=lesson.epochs(fast=4, full=20), number=draws, batch_size=batch_size)

# %%
kl = np.array(notes["kl"][: len(bounds)])
history = {"reconstruction": np.array(bounds) + kl, "kl": kl, "sigma": np.array(notes["sigma"][: len(bounds)])}
lesson.show(curves.elbo_curves(history))
print(f"sigma began at {history['sigma'][0]:.3f}, the error that PCA leaves, and is {vae.log_sigma.exp():.3f} now: a typical miss of a pixel")
print(f"the last batches: reconstruction {history['reconstruction'][-20:].mean():.1f}, KL {kl[-20:].mean():.1f} nats per image")

# %% [markdown] response="who_earned_it"
# Look at the four curves. When did the ELBO rise because the reconstruction became better at the same $\sigma_x$, and when because $\sigma_x$ moved? Why does the KL first jump up, though it counts against the ELBO?

# %% [markdown] section="5" title="New images" minutes=8
# In lesson 4 you drew $\mathbf z$ from $\mathcal N(\mathbf 0, \mathbf I)$, decoded it with the plain autoencoder, and it was no beauty: that decoder had never been asked about such codes. The VAE has been trained to decode draws from $q$, and its $q$'s were kept near the
# prior. So the same draws should now land where it knows its way.
#
# For a fair comparison both decoders get **the same** $\mathbf z$, and both networks have the same layers. First we train the plain one, too.

# %%
torch.manual_seed(7)
conv_ae = ConvAutoencoder(lesson.image_shape, K, filter_size=side)
lesson.fast_start(conv_ae, lesson.train.pixels, K)
conv_ae.to(lesson.device)
losses = train_autoencoder(conv_ae, lesson.train.pixels, epochs=lesson.epochs(fast=3, full=20), batch_size=100 if lesson.full else 50)
conv_ae.to(lesson.device)

# %%
def array(tensor):
    """A tensor as NumPy has it, wherever it was computed."""
    return tensor.detach().cpu().numpy()


torch.manual_seed(25)  # another number, other images
z = torch.randn(25, K, device=lesson.device)
with torch.no_grad():
    new = {"conv": array(conv_ae.decode(z)), "vae": array(vae.generate(z[None])[0])}
lesson.show(figures.samples_grid(new))

# %% [markdown]
# Run it again with other seeds. These are not photographs, nor should you expect every one to be a thing. But compare the two sheets: on which one does a picture look like *something*?
#
# The reason can be put in numbers. If the codes of real images were spread like the prior, each dimension would have mean 0 and standard deviation 1:

# %%
@torch.no_grad()
def codes_of(images):
    """Codes of images uint8 [N, C, H, W]: the autoencoder's h, and one draw from the VAE's q, [N, K] each."""
    found = [(conv_ae.encode(x), rsample(vae.infer(x), 1)[:, 0]) for x in (x.to(lesson.device) for x in course.batches(images, 250))]
    return {name: torch.cat(parts).cpu() for name, parts in zip(("conv", "vae"), zip(*found, strict=True), strict=True)}


spread = codes_of(lesson.test.pixels)


@look.drawn
def code_lengths(spread):
    """How far codes of test images lie from zero, against the prior's draws."""
    figure = look.canvas(look.WIDTH, 3.0)
    axes = figure.subplots()
    lengths = {name: array(codes.norm(dim=1)) for name, codes in spread.items()}
    lengths["prior"] = array(torch.randn(4000, K).norm(dim=1))
    bins = np.linspace(0, np.quantile(np.concatenate(list(lengths.values())), 0.995), 60)
    for name, values in lengths.items():
        chosen = look.model_style(name)
        colour, label = ("#262626", "draws of N(0, I)") if name == "prior" else (chosen.colour, f"{chosen.label}'s codes")
        axes.hist(values, bins, density=True, histtype="step", linewidth=2, color=colour, label=label, linestyle="--" if name == "prior" else "-")
    axes.set(xlabel="distance of a code from zero", ylabel="density", title=f"Where the codes of test images lie, K = {K}")
    axes.legend()
    return figure


lesson.show(code_lengths(spread))
for name, codes in spread.items():
    print(f"{look.model_style(name).label}: standard deviation of the codes, mean over dimensions {codes.std(0).mean():.2f}; the prior's is 1")

# %% [markdown]
# **Half way between two images.** Lesson 3 asked what is odd about the pictures half way. Ask again, with one more row.

# %%
labels = lesson.test.labels
second = 1 if labels is None or (labels == labels[0]).all() else int(np.argmax(labels != labels[0]))
pair = course.floats(lesson.test.pixels[[0, second]]).to(lesson.device)
with torch.no_grad():
    way = interpolate(*conv_ae.encode(pair)), interpolate(*vae.infer(pair)[:, :-1])
    rows = {
        "pixels": array(interpolate(*pair.flatten(1))).reshape(-1, *lesson.image_shape),
        "conv": array(conv_ae.decode(way[0])),
        "vae": array(vae.generate(way[1][None])[0]),
    }
lesson.show(figures.interpolation(rows))

# %% [markdown]
# **What q leaves open.** One image, many codes: here is what the draws from $q$ of one image decode to, and for each pixel how much they differ.

# %%
@look.drawn
def what_is_open(images, means, draws):
    """Each image, the mean of q decoded, four draws, and the standard deviation of many."""
    columns = 7
    figure = look.canvas(look.WIDTH, len(images) * (look.WIDTH / columns) * height / width + 0.35)
    axes = figure.subplots(len(images), columns, squeeze=False)
    deviation = draws.std(1).mean(1)  # over draws, then over channels: [images, H, W]
    titles = ["x", "mean of q", "draw 1", "draw 2", "draw 3", "draw 4", "std of draws"]
    for row, places in enumerate(axes):
        shown = [images[row], means[row], *draws[row, :4], deviation[row][None]]
        for column, (place, picture) in enumerate(zip(places, shown, strict=True)):
            pixels = np.moveaxis(picture, 0, -1)
            last = column == columns - 1
            place.imshow(np.clip(pixels, 0, 1) if pixels.shape[-1] == 3 else pixels[..., 0], cmap="magma" if last else "gray", vmin=0, vmax=float(deviation.max()) if last else 1)
            place.set(xticks=[], yticks=[])
            place.grid(visible=False)
            if row == 0:
                place.set_title(titles[column], fontsize="medium", loc="center")
    return figure


some = course.floats(lesson.test.pixels[:3]).to(lesson.device)
with torch.no_grad():
    phi = vae.infer(some)
    open_draws = vae.generate(rsample(phi, 64))
    middle = vae.generate(phi[:, None, :-1])[:, 0]
lesson.show(what_is_open(array(some), array(middle), array(open_draws)))
print(f"q of these images is {', '.join(f'{value:.2f}' for value in phi[:, -1].exp())} wide; the brightest pixel on the right differs by {float(open_draws.std(1).max()):.2f}")

# %% [markdown] discuss="where_unsure"
# Where in the image are the draws unsure: inside of things, at their edges, in the background? What does this have to do with what a code of $K$ numbers can hold? And what is *not* in these draws, though it is in $p(\mathbf x \mid \mathbf z)$?
# (What would the pictures look like with the noise $\sigma_x$ added?)

# %% [markdown] section="6" title="How good is it?" minutes=5
# Two numbers, both of **test** images, so that others can compare theirs with yours:
#
# - the **ELBO**, the mean over test images, in nats per image, with all constants. Some programs leave out $\frac P2 \log 2\pi$, which is the same for every model; the tutorial that this course follows is one of them. Their number is higher by just that, so never mix the two;
# - the **mean squared error** per pixel, pixels in $[0, 1]$, of the image that the mean of $q$ decodes to. This one can be compared with PCA and with the plain autoencoder.
#
# A caveat about the first: it is the logarithm of a *density* of pixels that really are whole numbers from 0 to 255. A density can exceed 1, so the ELBO can be above zero, and it is not the log-probability of your data (Theis et al., 2016). Between models with
# a normal density on the same pixels, it is a fair judge.

# %%
@torch.no_grad()
def evaluate(images, number=4):
    """Mean ELBO, nats, its reconstruction and KL, and the mean squared errors of VAE and autoencoder."""
    sums, count = torch.zeros(5, dtype=torch.float64), 0
    for batch in course.track(course.batches(images, 200), "testing", total=math.ceil(len(images) / 200)):
        x = batch.to(lesson.device)
        phi, bound = vae.infer(x), vae.elbo(x, number)
        errors = [((made - x) ** 2).flatten(1).mean(1) for made in (vae.generate(phi[:, None, :-1])[:, 0], conv_ae.decode(conv_ae.encode(x)))]
        kl = kl_closed_form(phi)
        sums += torch.stack([each.double().sum().cpu() for each in (bound, bound + kl, kl, *errors)])
        count += len(x)
    return (sums / count).tolist()


elbo_of_test, reconstruction_of_test, kl_of_test, mse, mse_conv = evaluate(lesson.test.pixels)
lesson.ran("vae", K, test_mse=mse, elbo=elbo_of_test)
lesson.ran("conv", K, test_mse=mse_conv)
print(f"ELBO {elbo_of_test:.1f} = reconstruction {reconstruction_of_test:.1f} - KL {kl_of_test:.1f} nats per image; without P/2 log 2 pi it would read {elbo_of_test + P / 2 * math.log(2 * math.pi):.1f}")
print(f"of training images {np.mean(bounds[-20:]):.1f} in the last batches")

# %% [markdown]
# Trained to the end, the VAE's error lies above the autoencoder's (after a few epochs it may be either way). That is no fault: the autoencoder is trained for nothing else, while the VAE pays for a code that stays near the prior and is noisy on the way. That is the price of being able to generate.
#
# **If yours looks bad,** these are the usual suspects; the next lesson is all about them.
#
# - *Did it train at all?* Is the curve still rising? Is it stuck, with the same image for every code, the mean of the training set? Sometimes starting again from other random weights is all it takes.
# - *Does K fit the data?* Too small, and reconstructions stay vague; too large, and dimensions lie idle.
# - *Can the decoder express enough?* More planes, or another layer.
# - *Can $q$?* One spread for all dimensions is the least that one can do; a spread for each (diagonal) is the usual next step, and the importance-weighted bound of lesson 9 forgives a poor $q$.
# - *Do all the $q$'s together fill the prior?* The divergence pulls each one towards it, which does not mean that their mixture matches it (Hoffman & Johnson, 2016). Where it leaves holes, samples fall into them.

# %% [markdown] discuss="vae_across_the_group"
# Split data sets and values of $K$ among your group; every run of the cell above adds a point to the curve of the class. What do you expect of the test error, and of the ELBO, as $K$ grows? Should the ELBO go on rising as the error falls?

# %% [markdown] response="plausible"
# Do the VAE's samples look like new members of your data set? Name one thing that it got right and one that no real image would have. What would you change first?

# %% [markdown]
# **Handing in.** If this was your homework, run the hand-in cell at the end. It calls `lesson.submit()`, which writes one JSON and one CSV next to this notebook with your answers, checks and runs, and sends nothing. The command `lowerbound course submit`
# does the same from a terminal, in the folder of the notebook.
