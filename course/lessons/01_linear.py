# ---
# lesson:
#   id: "01"
#   title: The linear autoencoder, and PCA
#   goals:
#     - "say what an autoencoder is: a way in to K numbers, a way back, and one error that both are trained on"
#     - "choose K with open eyes"
#     - "write a linear autoencoder and a training loop"
#     - "do PCA with the eigenvectors of the covariance"
#     - "say in which sense the two are the same, and in which they are not"
#   references:
#     - "Eckart & Young, 1936, The approximation of one matrix by another of lower rank, https://doi.org/10.1007/BF02288367"
#     - "Bourlard & Kamp, 1988, Auto-association by multilayer perceptrons and singular value decomposition, https://doi.org/10.1007/BF00332918"
#     - "Baldi & Hornik, 1989, Neural networks and principal component analysis: learning from examples without local minima, https://doi.org/10.1016/0893-6080(89)90014-2"
#     - "Plaut, 2018, From principal subspaces to principal components with linear autoencoders, https://arxiv.org/abs/1804.10253"
#     - "Kunin, Bloom, Goeva & Seed, 2019, Loss landscapes of regularized linear autoencoders, https://arxiv.org/abs/1901.08168"
#     - "Kingma & Ba, 2015, Adam: a method for stochastic optimization, https://arxiv.org/abs/1412.6980"
# ---
# %% [markdown] section="1" title="An image in K numbers" minutes=7 video="QwsHAKDN_vw" video_title="Linear autoencoders"
# How much of an image do you need to keep in order to draw it again? Not every pixel: in a handwritten digit, a pixel
# is mostly like its neighbour, and whole strokes come and go together. An **autoencoder** learns from examples what
# is worth keeping. It has two halves:
#
# - an **encoder**, which turns an image $\mathbf{x}$ of $P$ pixel values into a **code** $\mathbf{h}$ of only $K$
#   numbers, with $K$ much smaller than $P$;
# - a **decoder**, which turns the code into an image $\mathbf{x}'$ of $P$ values again, the *reconstruction*.
#
# $$\mathbf{x} \;\xrightarrow{\ \text{encoder}\ }\; \mathbf{h} \;\xrightarrow{\ \text{decoder}\ }\; \mathbf{x}'$$
#
# Nobody tells the network what a code should say. All we ask is that the reconstruction be close to the image, and
# what comes out at one end is compared with what went in at the other. That comparison is a single number, the **mean
# squared error**:
#
# $$\text{MSE} = \frac{1}{N P} \sum_{n=1}^{N} \big\lVert \mathbf{x}_n - \mathbf{x}'_n \big\rVert^2,$$
#
# where $n$ counts the $N$ images and $\lVert\cdot\rVert^2$ adds up the squares of all $P$ differences of one image.
# We divide by $N P$, so the unit is *per pixel*, with pixels between 0 and 1: an error of 0.01 means that pixels are
# off by about 0.1, a tenth of the way from black to white. (Often you will see the plain sum. It has the same
# minimum, and other numbers.)
#
# Both halves learn from this one error, **end to end**: the encoder is not finished first and the decoder afterwards,
# they get better together.
#
# The squeeze in the middle is the whole point. Without it, copying would be a perfect answer, and nothing would be
# learned.
# %%
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lowerbound import course, curves, figures, look
from lowerbound.moments import PixelMoments
from lowerbound.pca import PCA

torch.manual_seed(1)
shape = lesson.image_shape
P = math.prod(shape)
print(f"P = {' x '.join(map(str, shape))} = {P:,} values per image; a good K to begin with is about {lesson.suggested_k}")
# %% [markdown]
# ### How large should K be?
#
# This is the one choice that the data will not make for you. A small $K$ gives blurred reconstructions and codes that
# are easy to look at; a large one gives sharp reconstructions and codes that say little more than the pixels did. For
# MNIST, 5 to 20 is plenty. Photographs need more: 50 to 100 for CIFAR-10. For images of 8 x 8 a handful will do.
#
# Pick one. (Lesson 10 comes back to the question with better tools.)
# %% exercise="choose_k"
choose_k = 20  # SOLUTION
# %%
chosen = choose_k
choose_k = lesson.check("choose_k", choose_k)
# %%
K = choose_k if choose_k is chosen else lesson.suggested_k  # nothing chosen yet: what suits images of this kind
K = max(1, min(int(K), P // 2, len(lesson.train) - 1))  # there must be something to leave out
print(f"K = {K}: a code has {100 * K / P:.1f} % as many numbers as an image")
if not lesson.suggested_k / 4 <= K <= 2 * lesson.suggested_k:
    print(f"that is unusual for these images; around {lesson.suggested_k} is common. Keep it if you want to see why!")
# %% [markdown] discuss="who_takes_which_k"
# **In your group:** agree on who takes which $K$, and on which images. Five people could take $K$ = 5, 10, 20 on
# MNIST and 50, 100 on CIFAR-10. Every error you measure today goes into your hand-in, and all of them together become
# one curve: error against $K$. Before you measure anything, sketch what you expect: does doubling $K$ halve the
# error?
# %% [markdown] section="2" title="A linear autoencoder" minutes=7
# We begin with the simplest halves there are. Each is **linear**: a matrix, and an offset.
#
# $$\mathbf{h} = A\,\mathbf{x} + \mathbf{a}, \qquad \mathbf{x}' = B\,\mathbf{h} + \mathbf{b}$$
#
# $A$ has $K$ rows and $P$ columns: each number of the code is a weighted sum of all pixels. $B$ has $P$ rows and $K$
# columns: the reconstruction is a mixture of $K$ pictures, the columns of $B$, with the code as the recipe. No bends
# anywhere, no ReLU. That is a poor network, and a good place to start, since we can say exactly what the best one
# would be.
#
# In PyTorch, `nn.Linear(inputs, outputs)` is such a map, with its matrix and its offset. It works on the last
# dimension, so an image `[C, H, W]` first has to become a row of $P$ values: `x.flatten(1)` does that for a whole
# batch `[b, C, H, W]`, and leaves the first dimension, which counts the images, alone. On the way back
# `.unflatten(-1, shape)` folds rows into images.
#
# Fill in the two layers and the two methods. `encode` takes images `[b, C, H, W]` and gives codes `[b, K]`; `decode`
# takes codes `[..., K]`, where the dots stand for any dimensions before the last, and gives images `[..., C, H, W]`.
# %% exercise="LinearAutoencoder"
class LinearAutoencoder(nn.Module):
    """Images [b, C, H, W] to codes [b, K] and back, with a matrix and an offset each way."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        pixels = math.prod(image_shape)
        self.encoder = nn.Linear(pixels, latent_dim)  # SOLUTION
        self.decoder = nn.Linear(latent_dim, pixels)  # SOLUTION

    def encode(self, x: Tensor) -> Tensor:
        h = self.encoder(x.flatten(1))  # SOLUTION
        return h

    def decode(self, h: Tensor) -> Tensor:
        x = self.decoder(h).unflatten(-1, self.image_shape)  # SOLUTION
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))
# %%
LinearAutoencoder = lesson.check("LinearAutoencoder", LinearAutoencoder)
# %% [markdown]
# Before any training the matrices are random, and so is what comes out. Look at it once: it is a good habit to see
# the network fail before you see it succeed.
# %%
linear = LinearAutoencoder(shape, K).to(lesson.device)
learned = sum(parameter.numel() for parameter in linear.parameters())
print(f"{learned:,} numbers to learn: 2 x {P:,} x {K} weights, {K} and {P:,} offsets")

shown = course.floats(lesson.test.pixels[:7])
with torch.no_grad():
    untrained = linear(shown.to(lesson.device)).cpu()
lesson.show(figures.reconstructions(shown.numpy(), {"linear": untrained.numpy()}, k=K))
# %% [markdown] section="3" title="The training loop" minutes=9
# Training is the same four moves again and again, for one small **batch** of images at a time:
#
# 1. **reconstruct** the batch, through the code and back;
# 2. **measure**: the mean squared error between reconstruction and batch is the *loss*;
# 3. **find the slopes**: `loss.backward()` computes, for each weight, how the loss would change with it. PyTorch
#    *adds* slopes to those that are there already, so the old ones are set to zero first, with
#    `optimizer.zero_grad()`;
# 4. **step**: `optimizer.step()` moves each weight a little downhill.
#
# Going once through all the images is an **epoch**. The optimizer here is Adam, which adapts the size of the step to
# each weight.
#
# Its very first steps are as large as all others, however little it has seen, and in a layer with thousands of inputs
# many small changes add up to one large jump. So the loop *warms up*: the size of a step, the learning rate, rises
# over the first 60 steps. A linear network would do without. The one of lesson 2 may lose all its ReLUs at once, and
# then never learn anything.
#
# One thing to look out for: 10,000 images make 40 batches of 250, but 1,437 images make five batches of 250 and one
# of 187. A loop that insists on 250 fails at the end of its first epoch.
#
# Write the inside of the loop. `functional.mse_loss(a, b)` is the mean of all squared differences. Note each loss as
# a plain number, `loss.item()`: the tensor itself would hold on to everything that was needed for its slopes.
# %% exercise="train_autoencoder"
def train_autoencoder(
    model: nn.Module, pixels: np.ndarray, epochs: int, batch_size: int = 250, rate: float = 1e-3
) -> list[float]:
    """Train on images uint8 [N, C, H, W]; gives the mean squared error per pixel of every batch."""
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * math.ceil(len(pixels) / batch_size)
    stream = (x for epoch in range(epochs) for x in course.batches(pixels, batch_size, seed=epoch))
    losses: list[float] = []
    for step, x in enumerate(course.track(stream, "training", steps), start=1):
        x = x.to(device)
        optimizer.param_groups[0]["lr"] = rate * min(1, step / 60)  # warming up
        # BEGIN SOLUTION
        #> reconstruct x, measure the loss, find the slopes, step
        #> and note the loss: losses.append(...)
        reconstruction = model.decode(model.encode(x))
        loss = functional.mse_loss(reconstruction, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        # END SOLUTION
    return losses
# %%
train_autoencoder = lesson.check("train_autoencoder", train_autoencoder)
# %% [markdown]
# Now train. A linear network is quick: this takes a few seconds with digits, and a minute or so with photographs.
# %%
epochs, rate = (40, 1e-3) if P < 1000 else (100, 5e-4)  # photographs: more steps, and smaller ones
epochs = lesson.epochs(fast=epochs, full=20)
linear_losses = train_autoencoder(linear, lesson.train.pixels, epochs, rate=rate)
lesson.show(curves.losses({"linear": linear_losses}))
# %% [markdown]
# The curve falls steeply, bends, and goes on falling more and more slowly. (The axis is cut at the top: the first few
# losses are so high that they would flatten all the rest.) The steep part is mostly the mean image: the decoder's
# offset $\mathbf{b}$ learns what *all* images share, which is the cheapest gain there is. Then come the directions in
# which images differ most, then finer ones. The jitter is due to the batches: each one happens to be a little easier
# or harder.
#
# How good is it? Ask the images it has never seen. (With $K P$ weights, an autoencoder could do well on its training
# images by learning *them*, not what images are like.)
# %%
@torch.no_grad()
def error_of(reconstruct, pixels: np.ndarray) -> float:
    """Mean squared error per pixel of images, with pixels in [0, 1]."""
    total = 0.0
    for x in course.batches(pixels, 500):
        x = x.to(lesson.device)
        total += ((reconstruct(x) - x) ** 2).sum().item()
    return total / pixels.size


linear_mse = error_of(linear, lesson.test.pixels)
print(f"training images {error_of(linear, lesson.train.pixels):.5f} per pixel, test images {linear_mse:.5f}")
lesson.ran("linear", K, test_mse=linear_mse)
# %% [markdown] section="4" title="The same task, solved by algebra" minutes=8
# There is an older answer to "which $K$ numbers should I keep?", and it needs no training: **principal component
# analysis**, PCA.
#
# Think of the images as a cloud of points in $P$ dimensions, one axis for each pixel. The cloud is not round: in some
# directions it is long, in most it is thin. PCA keeps the $K$ directions in which it is longest. They are found in
# the **covariance matrix** of the pixels,
#
# $$C = \frac{1}{N} \sum_{n=1}^{N} (\mathbf{x}_n - \boldsymbol\mu)(\mathbf{x}_n - \boldsymbol\mu)^\top,$$
#
# with $\boldsymbol\mu$ the mean image. The **eigenvectors** of $C$ are directions at right angles to each other, and
# the **eigenvalue** $\lambda_k$ of each is the variance of the images along it. Take the $K$ eigenvectors with the
# largest eigenvalues as the columns of a matrix $V$, of $P$ rows. Then
#
# $$\mathbf{h} = V^\top (\mathbf{x} - \boldsymbol\mu), \qquad \mathbf{x}' = V\,\mathbf{h} + \boldsymbol\mu.$$
#
# This, too, is a linear encoder and a linear decoder! Only that the same $V$ serves both, that its columns are at
# right angles, and that it was computed, not trained. What is lost per image is the variance in all the directions
# left out, $\sum_{k > K} \lambda_k$.
#
# Write it. `mean` is $\boldsymbol\mu$ with shape `[P]`, `covariance` is $C$ with shape `[P, P]`. `torch.linalg.eigh`
# gives the eigenvalues of a symmetric matrix *from the smallest to the largest*, and the eigenvectors as *columns* in
# the same order. The two inner functions work on rows of pixels `[n, P]`.
# %% exercise="pca_by_eigenvectors"
def pca_by_eigenvectors(mean: Tensor, covariance: Tensor, latent_dim: int):
    """Two functions: encode rows [n, P] to codes [n, K], decode codes to rows."""
    variances, vectors = torch.linalg.eigh(covariance)
    components = vectors[:, -latent_dim:].flip(1)  # SOLUTION

    def encode(x: Tensor) -> Tensor:
        codes = (x - mean) @ components  # SOLUTION
        return codes

    def decode(codes: Tensor) -> Tensor:
        x = codes @ components.T + mean  # SOLUTION
        return x

    return encode, decode
# %%
pca_by_eigenvectors = lesson.check("pca_by_eigenvectors", pca_by_eigenvectors)
# %% [markdown]
# The mean and the covariance come from one pass over the training images. `PixelMoments` adds up whole numbers, so
# that nothing is lost to rounding, however many images there are. (Where images have more than 5,000 values, the
# covariance has more than 25 million, and its eigenvectors take long. Then the package's own PCA steps in, which
# never writes the covariance down and only multiplies with it.)
# %%
if P <= 5000:
    moments = PixelMoments(shape).add(lesson.train.pixels)
    mean, covariance = torch.from_numpy(moments.mean), torch.from_numpy(moments.covariance)
    pca_encode, pca_decode = pca_by_eigenvectors(mean, covariance, K)
else:
    print(f"{P:,} values per image are too many for a covariance matrix here: the package's PCA is used")
    whole = PCA(K).fit(lesson.train.pixels)

    def pca_encode(x: Tensor) -> Tensor:
        return torch.from_numpy(whole.transform(x.float().unflatten(-1, shape).numpy())).double()

    def pca_decode(codes: Tensor) -> Tensor:
        return torch.from_numpy(whole.inverse_transform(codes.numpy())).double().flatten(1)


def pca(x: Tensor) -> Tensor:
    """Images [b, C, H, W] through K numbers and back."""
    rows = x.flatten(1).double().cpu()
    return pca_decode(pca_encode(rows)).unflatten(-1, shape).to(x)


pca_mse = error_of(pca, lesson.test.pixels)
lesson.ran("pca", K, test_mse=pca_mse)
# %% [markdown]
# Put both beside the images, the same images for both, from the same number of numbers:
# %%
rows = {"linear": linear(shown.to(lesson.device)).detach().cpu().numpy(), "pca": pca(shown).numpy()}
errors = {"linear": linear_mse, "pca": pca_mse}
lesson.show(figures.reconstructions(shown.numpy(), rows, errors=errors, k=K))
# %% [markdown] response="linear_ae_vs_pca"
# **Your answer, please.** Compare the reconstructions of the linear autoencoder with those of PCA, image by image. Is
# one of them better? Are both good, or both bad? What do the two numbers say that your eyes do not, and the other way
# round?
# %% [markdown] section="5" title="Are they the same?" minutes=9
# The two answers look suspiciously alike. Let us ask three questions, each sharper than the one before.
#
# **1. Is the error the same?** No linear autoencoder with $K$ numbers can do better on the training images than PCA:
# among all matrices of rank $K$, PCA's is the closest (Eckart and Young knew it in 1936). So PCA's error is a
# *floor*, and training goes down towards it. Baldi and Hornik showed in 1989 that there is nothing else to get caught
# in on the way: the error of a linear autoencoder has saddles, but every valley is the deepest one.
# %%
floor = error_of(pca, lesson.train.pixels)
figure = curves.losses({"linear": linear_losses})
axes = figure.axes[0]
axes.axhline(floor, color=look.MODEL_STYLE["pca"].colour, linestyle="--")
axes.annotate(f"PCA, all training images: {floor:.4g}", (0.3, floor), xycoords=("axes fraction", "data"),
              xytext=(0, -13), textcoords="offset points", color=look.MODEL_STYLE["pca"].colour)  # fmt: skip
lesson.show(figure)
above = error_of(linear, lesson.train.pixels) / floor - 1
print(f"on the training images the autoencoder's error is {100 * above:.1f} % above the floor")
# %% [markdown]
# **2. Is the subspace the same?** A decoder with $K$ columns can only draw images that lie in a $K$-dimensional plane
# through its offset. Two planes can be compared by their **principal angles**: take from each plane the pair of
# directions that agree best, then the best pair at right angles to those, and so on. A cosine of 1 means that the
# direction is in both planes. If all $K$ cosines are 1, the planes are one.
#
# For comparison the figure shows two planes in random directions, which hardly ever meet.
# %%
@torch.no_grad()
def plane(decode) -> Tensor:
    """Orthonormal directions [P, K] that span all a linear decoder can draw."""
    axes = torch.cat([torch.zeros(1, K), torch.eye(K)])
    drawn = decode(axes).flatten(1).double()
    return torch.linalg.qr((drawn[1:] - drawn[0]).T).Q


def cosines(one: Tensor, other: Tensor) -> np.ndarray:
    """Of the principal angles between two planes, largest first [K]."""
    return torch.linalg.svdvals(one.T @ other).clamp(max=1).numpy()


@look.drawn
def agreement(found: np.ndarray, chance: np.ndarray):
    figure = look.canvas(look.WIDTH, 3.2)
    axes = figure.subplots()
    place = np.arange(1, len(found) + 1)
    axes.bar(place, found, color=look.MODEL_STYLE["linear"].colour, label="linear autoencoder and PCA")
    axes.plot(place, chance, color=look.QUIET, marker="o", markersize=4, label="two random planes")
    axes.set(xlabel="principal angle, the best agreement first", ylabel="cosine (1: shared by both)", ylim=(0, 1.18))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper right", ncols=2)
    return figure


pca_plane = plane(lambda codes: pca_decode(codes.double()))
linear_plane = plane(lambda codes: linear.decode(codes.to(lesson.device)).cpu())
chance = cosines(torch.linalg.qr(torch.randn(P, K).double()).Q, torch.linalg.qr(torch.randn(P, K).double()).Q)
shared = cosines(pca_plane, linear_plane)
lesson.show(agreement(shared, chance))
print(f"{int((shared > 0.99).sum())} of {K} directions agree to a cosine above 0.99; the smallest cosine is {shared[-1]:.2f}")
# %% [markdown]
# The leading directions agree almost perfectly. If some cosines at the end are lower, those are directions of small
# variance: swapping the last one kept for the first one left out costs next to nothing, so training has little reason
# to hurry. With photographs there are many of these, and a gap to the floor remains for long. More epochs narrow it
# (try it: `train_autoencoder(linear, ...)` goes on from where it is).
#
# **3. Are the single components the same?** Now look at the directions themselves. Grey stands for zero, brighter is
# added to the image and darker is taken away.
# %%
@look.drawn
def components(rows: dict[str, np.ndarray]):
    figure = look.canvas(look.WIDTH, 1.1 * len(rows))
    panels = figure.subplots(len(rows), 8)
    for line, (name, pictures) in zip(panels, rows.items(), strict=True):
        for axes, picture in zip(line, pictures, strict=False):
            axes.imshow((0.5 + 0.5 * picture / np.abs(picture).max()).transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.grid(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


@torch.no_grad()
def pictures(decode) -> np.ndarray:
    """What each number of the code adds to the image [K, C, H, W]."""
    drawn = decode(torch.cat([torch.zeros(1, K), torch.eye(K)])).cpu().reshape(K + 1, *shape)
    return (drawn[1:] - drawn[0]).numpy()


by_pca = pictures(lambda codes: pca_decode(codes.double()))
by_training = pictures(lambda codes: linear.decode(codes.to(lesson.device)))
lesson.show(components({"PCA": by_pca, "linear AE": by_training}))
# %% [markdown]
# They are *not* the same. PCA's come in order, from coarse to fine, each at right angles to the others, each with a
# variance of its own. The autoencoder's are mixtures, in no order, and another random start gives other ones.
#
# The reason is short. Take any $K \times K$ matrix $R$ that can be inverted, and change the code to $R\,\mathbf{h}$
# in the encoder and back again in the decoder:
#
# $$\mathbf{x}' = B\,\mathbf{h} + \mathbf{b} = (B R^{-1})\,(R\,\mathbf{h}) + \mathbf{b}.$$
#
# The reconstruction has not changed, so neither has the loss: nothing in it can prefer one $R$ over another. The loss
# decides on the *plane*, not on the *axes* within it. Let us see that happen, in numbers:
# %%
R = torch.randn(K, K, dtype=torch.float64)
x = course.floats(lesson.test.pixels).flatten(1).double()
h = pca_encode(x)
as_before = (pca_decode(h) - pca_decode(torch.linalg.solve(R, R @ h.T).T)).abs().max().item()
print(f"codes mixed by a random matrix and unmixed in the decoder: pixels change by at most {as_before:.1g}")

codes = {"PCA": h, "linear AE": linear.encode(x.float().unflatten(-1, shape).to(lesson.device)).detach().cpu().double()}
for name_of, code in codes.items():
    correlation = torch.corrcoef(code.T)
    apart = (correlation - torch.eye(K)).abs().sum() / max(1, K * (K - 1))
    print(f"{name_of}: the mean |correlation| between two numbers of a code is {apart:.2f}")
# %% [markdown]
# (PCA's codes are uncorrelated on the images that it was computed from. On other images, a little correlation is
# chance.)
#
# So: same error in the end, same plane, other axes. Is that a loss? Whoever wants to *read* single numbers of a code
# must settle the axes by something else than reconstruction. PCA does it by order and right angles; with a small
# penalty on the weights, they can be read off the trained decoder, too (Kunin and others, 2019). And in lesson 4 we
# shall want codes that follow a given *distribution*, which is one more thing that the reconstruction error alone
# does not care about.
#
# How much variance the first $K$ components keep, and why that share is only a rough guide to choosing $K$, is what
# lesson 10 is about.
# %% [markdown] discuss="same_or_not"
# **In your group:** a friend says "a linear autoencoder is just a slow PCA". Give one reason why that is right and
# one why it is not. When would you train one all the same? (Think of images that arrive one by one, of a million
# pixels per image, and of the next lesson, where the maps are no longer linear.) Compare your numbers, too: how does
# the test error fall with $K$, and for which images faster?
