# ---
# lesson:
#   id: "02"
#   title: Convolutions, there and back
#   goals:
#     - "say how large an image is after a convolution, and after a transposed one"
#     - "say in which sense a transposed convolution is the way back, and in which it is not"
#     - "say why a decoder wants an offset for every pixel"
#     - "build a convolutional autoencoder, and compare it with a linear one of the same K"
#   references:
#     - "Dumoulin & Visin, 2016, A guide to convolution arithmetic for deep learning, https://arxiv.org/abs/1603.07285"
#     - "Zeiler, Krishnan, Taylor & Fergus, 2010, Deconvolutional networks, https://doi.org/10.1109/CVPR.2010.5539957"
#     - "Odena, Dumoulin & Olah, 2016, Deconvolution and checkerboard artifacts, https://doi.org/10.23915/distill.00003"
#     - "Masci, Meier, Ciresan & Schmidhuber, 2011, Stacked convolutional auto-encoders for hierarchical feature extraction, https://doi.org/10.1007/978-3-642-21735-7_7"
# ---
# %% [markdown] section="1" title="Convolutions, and what they leave of an image" minutes=7 video="mzHY6rW_4Eo" video_title="Convolutional autoencoders"
# A linear autoencoder treats an image as a list. Shuffle all pixels, the same way in every image, and it does exactly
# as well as before: it does not know which pixels are neighbours, and has to find out from the data that strokes are
# connected. It also has to learn the same stroke again for every place where it can lie.
#
# A **convolution** knows both. A small filter, say $5 \times 5$ weights, slides over the image, and at each place
# gives the sum of the pixels under it, each times its weight. Many filters give many *planes*, one map of answers for
# each. The weights are the same everywhere, so there are few of them, and a stroke learned in one corner is known in
# all.
#
# Followed by a **ReLU**, $\max(0, \cdot)$, convolutions are no longer linear. That is the other thing we gain: PCA is
# the best that linear maps can do, so anything better needs a bend.
#
# First, a matter of counting. A filter has to lie wholly within the image (nothing is padded here). How many places
# does it have?
# %%
import math

import numpy as np
import torch
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor, nn
from torch.nn import functional

from lowerbound import course, curves, figures, look, schematic
from lowerbound.pca import PCA

torch.manual_seed(2)
shape = lesson.image_shape
channels, height, width = shape
K = min(lesson.suggested_k, len(lesson.train) - 1)  # or your own of lesson 1
filter_size = lesson.filter_size
LinearAutoencoder = lesson.piece("LinearAutoencoder")
train_autoencoder = lesson.piece("train_autoencoder")
print(f"images of {channels} x {height} x {width}, K = {K}, filters of {filter_size} x {filter_size}")
# %%
def size_of(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape[1:]))


blank = torch.zeros(1, *shape)
print(f"{'filter':>8} | {'image':>12} | {'convolved':>12} | {'convolved twice':>15}")
for side in sorted({2, 3, 4, filter_size}):
    conv = nn.Conv2d(channels, channels, side)
    print(f"{side:>4} x {side} | {size_of(blank):>12} | {size_of(conv(blank)):>12} | {size_of(conv(conv(blank))):>15}")
# %% [markdown]
# Do you see the rule? Write it down: how many rows are left of `size` after a number of convolutions, each with
# filters of `filter_size` rows?
#
# (Beware of a rule of thumb that is around: "half the filter is lost at each edge", rounded down. For a filter of 5
# that gives 2 and 2, and is right. For a filter of 4 it gives 2 and 2 as well. Is that so in the table?)
# %% exercise="size_after"
def size_after(size: int, filter_size: int, convolutions: int = 1) -> int:
    """Rows left of an image after convolutions without padding."""
    left = size - convolutions * (filter_size - 1)  # SOLUTION
    return left
# %%
size_after = lesson.check("size_after", size_after)
# %%
for side in sorted({2, 3, 4, filter_size}):
    print(f"filters of {side}: {height} rows, {size_after(height, side, 1)} after one, {size_after(height, side, 2)} after two")
# %% [markdown] section="2" title="The way back: transposed convolutions" minutes=7
# The encoder makes planes smaller. The decoder has to make them larger again, and for this there is the **transposed
# convolution**, `nn.ConvTranspose2d`. (It is often called a *deconvolution*, which promises too much.)
#
# Here is what it does. A convolution *gathers*: the 25 pixels under the filter are added up, weighted, into one
# number. A transposed convolution *scatters*: one number is spread over 25 pixels, as a copy of the filter times that
# number, and where copies overlap, they add up. So $n$ rows become $n + (\text{filter size} - 1)$, exactly what the
# convolution took away, for odd filters and for even ones:
# %%
for side in sorted({2, 3, 4, filter_size}):
    conv, back = nn.Conv2d(channels, channels, side), nn.ConvTranspose2d(channels, channels, side)
    print(f"filters of {side}: image {size_of(blank)}, Conv2d {size_of(conv(blank))}, ConvTranspose2d {size_of(back(blank))}, "
          f"ConvTranspose2d of Conv2d {size_of(back(conv(blank)))}")  # fmt: skip
# %% [markdown]
# Why "transposed"? A convolution is linear, so it is a matrix, a very sparse one with the same few weights in every
# row. Here is that matrix for a row of ten pixels and a filter of three, and beside it the matrix of the transposed
# convolution with the same weights. Find the three weights of the filter in a row of the left one, then in a column
# of the right one.
# %%
@look.drawn
def matrices(one: np.ndarray, other: np.ndarray):
    figure = look.canvas(look.WIDTH, 3.6)
    for axes, matrix, title in zip(figure.subplots(1, 2), (one, other), ("convolution", "transposed convolution"), strict=True):
        axes.imshow(np.where(matrix == 0, np.nan, matrix), cmap="viridis", vmin=0, vmax=3.6)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            axes.text(column, row, f"{matrix[row, column]:g}", ha="center", va="center", color="white", weight="bold")
        axes.set(title=f"{title}\n{matrix.shape[1]} pixels in, {matrix.shape[0]} out", xlabel="pixel in", ylabel="pixel out")
        axes.set_xticks(range(matrix.shape[1]), range(1, matrix.shape[1] + 1))
        axes.set_yticks(range(matrix.shape[0]), range(1, matrix.shape[0] + 1))
        axes.grid(False)
    return figure


weights = torch.tensor([[[1.0, 2.0, 3.0]]])
gathers = functional.conv1d(torch.eye(10)[:, None], weights)[:, 0].T  # what becomes of each single pixel is a column
scatters = functional.conv_transpose1d(torch.eye(8)[:, None], weights)[:, 0].T
lesson.show(matrices(gathers.numpy(), scatters.numpy()))
print("the right one is the left one transposed:", torch.equal(scatters, gathers.T))
# %% [markdown]
# (Our filters move in steps of one. With larger steps the copies can overlap unevenly, and images get a checkerboard
# pattern: see Odena and others, 2016.)
#
# A transpose is not an inverse. It brings back the *size*, not the *contents*, as the next picture shows with a
# filter that looks for edges. In a trained autoencoder the decoder has weights of its own. It may learn to undo about
# what the encoder did; nothing forces it to.
# %%
@look.drawn
def there_and_back(images: list[tuple[str, np.ndarray]]):
    figure = look.canvas(look.WIDTH, 2.9)
    for axes, (title, image) in zip(figure.subplots(1, len(images)), images, strict=True):
        reach = np.abs(image).max() or 1
        axes.imshow(image, cmap="gray", vmin=0 if image.min() >= 0 else -reach, vmax=reach)
        axes.set(title=f"{title}\n{image.shape[0]} x {image.shape[1]}", xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.grid(False)
    return figure


edge = torch.ones(1, 1, filter_size, filter_size)
edge[..., : filter_size // 2] = -1  # right half less left half
edge[..., filter_size // 2] = 0 if filter_size % 2 else 1
grey = course.floats(lesson.test.pixels[3:4]).mean(1, keepdim=True)
found = functional.conv2d(grey, edge)
spread_out = functional.conv_transpose2d(found, edge)
steps = {"image": grey, "convolved: upright edges": found, "transposed convolution": spread_out}
lesson.show(there_and_back([(title, image[0, 0].numpy()) for title, image in steps.items()]))
# %% [markdown] section="3" title="An offset for every pixel" minutes=7
# Remember what PCA did before anything else: it took off the mean image, and at the very end put it back. A linear
# layer can do the same, since `nn.Linear` has an offset for every output, that is, for every pixel. And in lesson 1
# this was what the training loop learned first.
#
# A convolution cannot. It has one offset per *filter*: the last layer of a decoder adds one number to all pixels of a
# plane, one for grey images, three for images in colour. How much does that matter? Let a decoder ignore its code and
# always say the same, once with one number per channel, once with one number per pixel:
# %%
everything = course.floats(lesson.train.pixels)
per_pixel = everything.mean(0)
per_channel = per_pixel.mean((1, 2), keepdim=True).expand(shape)
test_images = course.floats(lesson.test.pixels)
for words, picture in (("one number per channel", per_channel), ("one number per pixel", per_pixel)):
    print(f"{words}: {((test_images - picture) ** 2).mean():.4f} mean squared error per pixel")
pair = torch.stack([per_channel, per_pixel]).numpy()
lesson.show(figures.samples_of(pair, np.arange(2), ["per channel", "per pixel"], title="The best a decoder can say without a code"))
# %% [markdown]
# The mean image is called the *first moment* of the data. Everything that the network has to spend on it is lost for
# what is interesting, the differences between images. For centred digits the mean image is worth a lot; for
# photographs, which may show anything anywhere, much less. Which is it for yours?
#
# So we make a layer of our own, with one learned offset for each pixel of each channel. It comes first in the
# encoder, where it can take the mean image off, and last in the decoder, where it puts it back.
#
# Write it. Three things matter: an optimiser only finds `nn.Parameter`s; the shape is that of one image, so that
# every image of a batch gets the same offsets; and they are zero before training.
# %% exercise="PixelBias"
class PixelBias(nn.Module):
    """Adds a learned offset to every pixel of images [b, C, H, W]."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(image_shape))  # SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        moved = images + self.bias  # SOLUTION
        return moved
# %%
PixelBias = lesson.check("PixelBias", PixelBias)
# %% [markdown] section="4" title="The convolutional autoencoder" minutes=10
# Now put the pieces together. The **encoder**:
#
# 1. an offset for every pixel;
# 2. a convolution, from the image's channels to 32 planes, and a ReLU;
# 3. a second convolution, from 32 planes to 32, and a ReLU;
# 4. all planes flattened to one long row, and one linear layer from there to the $K$ numbers of the code. No ReLU
#    here: a code may be negative.
#
# The **decoder** is its mirror image:
#
# 1. one linear layer from the code to that long row, a ReLU, and the row is folded ("unflattened") into planes;
# 2. a transposed convolution from 32 planes to 32, and a ReLU;
# 3. a transposed convolution from 32 planes to the image's channels. No ReLU here: a decoder must also be able to
#    make pixels darker;
# 4. an offset for every pixel.
#
# Read in one direction, each ReLU of the encoder stands *behind* a convolution, and each ReLU of the decoder stands
# *before* a transposed one. Mirrors do that. Making the decoder look like the encoder is a custom, not a law: it
# makes it easy for the decoder to undo roughly what the encoder did, and it saves you from thinking about sizes
# twice.
#
# Here it is with the sizes for your images. Watch height and width shrink and grow.
# %%
def planes_of(image_shape: tuple[int, int, int], latent_dim: int, planes: int, side: int) -> list[schematic.Plane]:
    """What an image becomes on its way through the convolutional autoencoder."""
    rows, columns = image_shape[1:]
    one = (planes, size_after(rows, side, 1), size_after(columns, side, 1))
    two = (planes, size_after(rows, side, 2), size_after(columns, side, 2))
    row = (math.prod(two),)
    conv, back = f"{side}x{side} convolution", f"{side}x{side} transposed convolution"
    return [
        schematic.Plane(image_shape, "", "encoder"),
        schematic.Plane(one, f"offset per pixel, {conv}, ReLU", "encoder"),
        schematic.Plane(two, f"{conv}, ReLU", "encoder"),
        schematic.Plane(row, "flatten", "encoder"),
        schematic.Plane((latent_dim,), "linear", "code"),
        schematic.Plane(row, "linear, ReLU", "decoder"),
        schematic.Plane(two, "unflatten", "decoder"),
        schematic.Plane(one, f"{back}, ReLU", "decoder"),
        schematic.Plane(image_shape, f"{back}, offset per pixel", "decoder"),
    ]


lesson.show(schematic.schematic(planes_of(shape, K, 32, filter_size)))
# %% [markdown]
# Your turn: the layers, and the way through them. What you need to know of PyTorch: `nn.Conv2d(planes in, planes out,
# filter size)`, the same for `nn.ConvTranspose2d`, `functional.relu`, `x.flatten(1)` and `x.unflatten(-1, shape)`.
# `self.inner_shape` has the sizes of the planes between convolutions and linear layer, `inner` how many numbers that
# is.
#
# The lines around the gaps are there for two reasons. `decode` gathers codes of any shape `[..., K]` into rows `[n,
# K]` and spreads the images out again at the end, because in later lessons each image has several codes. And all
# offsets begin at zero: those of the layers would only get in the way of those of the pixels.
# %% exercise="ConvAutoencoder"
class ConvAutoencoder(nn.Module):
    """Images [b, C, H, W] to codes [b, K] and back, with two convolutions each way."""

    def __init__(
        self, image_shape: tuple[int, int, int], latent_dim: int, planes: int = 32, filter_size: int = 5
    ) -> None:
        super().__init__()
        channels, rows, columns = image_shape
        self.image_shape = tuple(image_shape)
        self.inner_shape = (planes, size_after(rows, filter_size, 2), size_after(columns, filter_size, 2))
        inner = math.prod(self.inner_shape)
        # BEGIN SOLUTION
        #> encoder: an offset for every pixel, two convolutions, a linear layer
        #> decoder: a linear layer, two transposed convolutions, an offset for every pixel
        self.bias_in = PixelBias(image_shape)
        self.conv_1 = nn.Conv2d(channels, planes, filter_size)
        self.conv_2 = nn.Conv2d(planes, planes, filter_size)
        self.to_code = nn.Linear(inner, latent_dim)

        self.from_code = nn.Linear(latent_dim, inner)
        self.deconv_1 = nn.ConvTranspose2d(planes, planes, filter_size)
        self.deconv_2 = nn.ConvTranspose2d(planes, channels, filter_size)
        self.bias_out = PixelBias(image_shape)
        # END SOLUTION
        for layer in self.modules():
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)

    def encode(self, x: Tensor) -> Tensor:
        # BEGIN SOLUTION
        #> h = ...   # offset, convolution, ReLU, convolution, ReLU, flatten, linear
        x = functional.relu(self.conv_1(self.bias_in(x)))
        x = functional.relu(self.conv_2(x))
        h = self.to_code(x.flatten(1))
        # END SOLUTION
        return h

    def decode(self, h: Tensor) -> Tensor:
        rows = h.reshape(-1, h.shape[-1])
        # BEGIN SOLUTION
        #> x = ...   # of rows: linear, ReLU, unflatten, transposed, ReLU, transposed, offset
        x = functional.relu(self.from_code(rows)).unflatten(-1, self.inner_shape)
        x = functional.relu(self.deconv_1(x))
        x = self.bias_out(self.deconv_2(x))
        # END SOLUTION
        return x.reshape(*h.shape[:-1], *self.image_shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))
# %%
ConvAutoencoder = lesson.check("ConvAutoencoder", ConvAutoencoder)
# %%
torch.manual_seed(2)
conv = ConvAutoencoder(shape, K, filter_size=filter_size).to(lesson.device)
linear = LinearAutoencoder(shape, K).to(lesson.device)
for words, model in (("linear", linear), ("convolutional", conv)):
    print(f"{words}: {sum(p.numel() for p in model.parameters()):,} numbers to learn")
print("of the convolutional one:", {name: p.numel() for name, p in conv.named_parameters() if name.endswith("weight")})
# %% [markdown]
# Few of them are in the convolutions! Most sit in the two linear layers beside the code, which tie every place of
# every plane to every number of the code.
# %% [markdown] section="5" title="Training beside the linear one" minutes=9
# Both networks get the same images, the same $K$ and the same training loop, yours of lesson 1 or the library's.
#
# The convolutional one does many more multiplications per image, so on a processor without a graphics card a few
# epochs have to do. `lesson.fast_start` helps: it sets the offsets to the mean image, taken off in the encoder and
# put back in the decoder, so that no epoch is spent on learning it. (With `full=True` in the first cell you train on
# all images, and for long.)
# %%
epochs, rate = (40, 1e-3) if math.prod(shape) < 1000 else (100, 5e-4)  # photographs: more steps, and smaller ones
epochs = lesson.epochs(fast=epochs, full=20)
linear_losses = train_autoencoder(linear, lesson.train.pixels, epochs, rate=rate)
# %%
lesson.fast_start(conv, lesson.train.pixels, K)
epochs = lesson.epochs(fast=4, full=20)
conv_losses = train_autoencoder(conv, lesson.train.pixels, epochs, batch_size=50)
# %%
lesson.show(curves.losses({"linear": linear_losses, "conv": conv_losses}))
# %% [markdown]
# Look at where the curves end, and at how many batches each one had. (A batch has 250 images for the linear network
# and 50 for the convolutional one: where there is time for few images, smaller batches make more steps of them.) Now
# the errors on test images, with PCA's beside them, which is about the best that any linear network could reach:
# %%
@torch.no_grad()
def error_of(reconstruct, pixels: np.ndarray) -> float:
    """Mean squared error per pixel of images, with pixels in [0, 1]."""
    total = 0.0
    for x in course.batches(pixels, 250):
        x = x.to(lesson.device)
        total += ((reconstruct(x) - x) ** 2).sum().item()
    return total / pixels.size


linear_mse, conv_mse = error_of(linear, lesson.test.pixels), error_of(conv, lesson.test.pixels)
lesson.ran("linear", K, test_mse=linear_mse)
lesson.ran("conv", K, test_mse=conv_mse)
pca = PCA(K).fit(lesson.train.pixels)
through_pca = pca.inverse_transform(pca.transform(lesson.test.pixels))
pca_mse = float(((through_pca - lesson.test.pixels / np.float32(255)) ** 2).mean())
print(f"for comparison, PCA with K = {K}: test MSE {pca_mse:.5f} per pixel")
if conv_mse < pca_mse:
    print(f"the convolutional autoencoder's error is {100 * (1 - conv_mse / pca_mse):.0f} % below PCA's: the bends pay")
else:
    print("the convolutional autoencoder is not there yet: give it more epochs, two cells further down")
# %%
shown = course.floats(lesson.test.pixels[:7])
with torch.no_grad():
    rows = {"linear": linear(shown.to(lesson.device)).cpu().numpy(), "conv": conv(shown.to(lesson.device)).cpu().numpy()}
lesson.show(figures.reconstructions(shown.numpy(), rows, errors={"linear": linear_mse, "conv": conv_mse}, k=K))
# %% [markdown]
# Both rows were drawn from $K$ numbers per image, no more in one than in the other. On digits the convolutional
# network should have the lower error after a few minutes, and its strokes have no grey halo around them. On
# photographs we promise less: there PCA is hard to beat in a few epochs, and it takes a good many, or a graphics
# card, to get below it.
#
# If yours lags behind, train it on from where it is. The loop does not mind being called again:
# %%
more_epochs = 0  # write 4, say, and run this cell
if more_epochs:
    conv_losses += train_autoencoder(conv, lesson.train.pixels, more_epochs, batch_size=50)
    lesson.ran("conv", K, test_mse=error_of(conv, lesson.test.pixels))
# %% [markdown]
# An average hides a lot. Here is every test image by itself: below the line, the convolutional network does better.
# %%
@torch.no_grad()
def error_of_each(model: nn.Module) -> np.ndarray:
    """Mean squared error per pixel of each test image [n]."""
    parts = [x.to(lesson.device) for x in course.floats(lesson.test.pixels[:1000]).split(250)]
    return torch.cat([((model(x) - x) ** 2).flatten(1).mean(1) for x in parts]).cpu().numpy()


@look.drawn
def one_by_one(by_linear: np.ndarray, by_conv: np.ndarray):
    figure = look.canvas(look.WIDTH, 4.2)
    axes = figure.subplots()
    ends = [min(by_linear.min(), by_conv.min()) * 0.8, max(by_linear.max(), by_conv.max()) * 1.2]
    axes.scatter(by_linear, by_conv, s=9, alpha=0.5, color=look.MODEL_STYLE["conv"].colour, linewidths=0)
    axes.plot(ends, ends, color=look.QUIET, linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_locator(NullLocator())
    axes.set(xlabel="linear AE: squared error per pixel", ylabel="conv AE: squared error per pixel")
    axes.set_title(f"{100 * (by_conv < by_linear).mean():.0f} % of test images are below the line")
    return figure


lesson.show(one_by_one(error_of_each(linear), error_of_each(conv)))
# %% [markdown] response="what_the_bends_buy"
# **Your answer, please.** Look at the reconstructions and at the cloud. What kind of mistake does the linear network
# make that the convolutional one does not, and is there any the other way round? What would you expect for images
# whose pixels have been shuffled, the same way in all images?
# %% [markdown] discuss="linear_or_convolutional"
# **In your group:** put your test errors side by side, by $K$ and by images. Where does the convolutional network
# gain most over the linear one, at small $K$ or at large? For digits or for photographs? How much of the difference
# could be the network, and how much the time it was trained for?
