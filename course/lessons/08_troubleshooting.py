# ---
# lesson:
#   id: "08"
#   title: Five sick models
#   goals:
#     - read a model's health from its curves, its pictures and a few numbers
#     - tell ailments apart that look alike, such as posterior collapse and a model stuck at the mean image
#     - name causes before effects, and change one thing at a time
#     - have a model examined by lowerbound diagnose, and judge what it says
#   references:
#     - "Lucas, Tucker, Grosse & Norouzi, 2019, Don't blame the ELBO! A linear VAE perspective on posterior collapse, https://arxiv.org/abs/1911.02469"
#     - "Hoffman & Johnson, 2016, ELBO surgery, http://approximateinference.org/2016/accepted/HoffmanJohnson2016.pdf"
#     - "Zhao, Song & Ermon, 2017, Towards a deeper understanding of variational autoencoding models, https://arxiv.org/abs/1702.08658"
#     - "Alemi, Poole, Fischer, Dillon, Saurous & Murphy, 2018, Fixing a broken ELBO, https://arxiv.org/abs/1711.00464"
#     - "Zhao, Song & Ermon, 2018, The information autoencoding family, https://arxiv.org/abs/1806.06514"
#     - "Burda, Grosse & Salakhutdinov, 2016, Importance weighted autoencoders, https://arxiv.org/abs/1509.00519"
# ---

# %% [markdown] section="1" title="What can go wrong" minutes=6
# A VAE that fails rarely says so. There is no error message: the loss falls, images come out, and they are just not good. Then people turn knobs. It is quicker to do what a doctor does: look at several symptoms, name what they have in common, and
# treat the *cause*.
#
# These are ten things that go wrong often. The names in the left column are the ones that we shall use.
#
# | ailment | what it is | where it shows |
# |---|---|---|
# | `not yet converged` | training was stopped too early | curves that still move; training on makes the test error smaller |
# | `stuck at the mean image` | the decoder answers every code with the same image, the mean of the training set, and finds no way out | reconstructions that do not vary; the error of the mean image |
# | `posterior collapse` | some or all dimensions say nothing, $q(z_k \mid \mathbf x)$ equals the prior, because the objective finds them not worth their KL | dimensions with zero nats, *though* as many principal components would be worth keeping |
# | `K too large` | more dimensions than the data have use for | dimensions with zero nats, and nothing is missed |
# | `K too small` | too few numbers per image | blurred reconstructions; PCA with twice as many does much better |
# | `over-fitting` | training images are learned by heart | test images are reconstructed much worse than training images |
# | `decoder too weak` | the codes hold more than the decoder can show | another decoder, fitted to the same codes, does better |
# | `q too weak` | no $q$ of the chosen family comes near the posterior | the ELBO lies far below $\log p(\mathbf x)$; a diagonal or full $q$, or the importance-weighted bound, wins nats |
# | `aggregate posterior far from the prior` | the codes of all images together lie elsewhere than the prior | good reconstructions, poor samples; a very high KL |
# | `sigma at its bound` | the noise fell to the rounding of 8-bit pixels, where a density grows without end | a tiny $\sigma_x$ and a wonderful ELBO that means nothing |
#
# Which of them is a *cause* and which an *effect*? A model that is stuck at the mean image has dimensions without nats, too, and is worse than PCA; mend the first, and the others go with it. So name what comes first.
#
# The last but one deserves a word. The KL term pulls the $q$ of *each* image towards the prior. Whether the $q$'s of all images *together*, $\frac1N \sum_i q(\mathbf z \mid \mathbf x_i)$, fill the prior is another question, and one
# that has kept people busy (Hoffman & Johnson, 2016; Zhao et al., 2017, 2018; Alemi et al., 2018). Where they leave holes, a draw from the prior falls into one.
#
# In this lesson all patients learned the 8 x 8 digits, whatever data you use elsewhere: they must be ready in seconds.

# %%
import numpy as np

import lowerbound
from lowerbound import course, figures, look
from lowerbound.course import patients
from lowerbound.diagnosis import diagnose
from lowerbound.evaluation import squared_errors
from lowerbound.examination import examine

digits = lowerbound.load("digits")
train, test = digits.train.pixels, digits.test.pixels
ward = {patient.name: patient for patient in course.track(patients.admit(digits), "admitting", total=6)}
print(f"{', '.join(ward)}: each keeps K = {patients.K} numbers of an image of {test[0].size} pixels; {len(train):,} training images, {len(test)} to test")

# %% [markdown] section="2" title="Their curves" minutes=7
# There is a healthy model for comparison, and five patients, A to E. **Each patient has one cause** from the table, and each a different one.
#
# First the charts that were kept while they trained. For each: what was raised (the ELBO, or a version of it), for training batches and, dotted, for test images; and its two parts,
# ${\color{#0072B2}{\text{reconstruction}}}$ and ${\color{#D55E00}{\mathrm{KL}}}$. All in nats per image, with all constants. The first steps are cut off where they would flatten the rest.
#
# Look at the *shape* first (does it still rise? does the dotted curve follow?), then at the *scale*, which differs from panel to panel.

# %%
@look.drawn
def charts(ward):
    """Objective, reconstruction and KL of every patient, a row each."""
    figure = look.canvas(look.WIDTH, 1.45 * len(ward) + 0.3)
    axes = figure.subplots(len(ward), 3, squeeze=False)
    kinds = (("objective", "black", "objective; test images dotted"), ("reconstruction", look.RECONSTRUCTION, "reconstruction"), ("kl", look.KL, "KL"))
    for number, (row, patient) in enumerate(zip(axes, ward.values(), strict=True)):
        for place, (key, colour, title) in zip(row, kinds, strict=True):
            values = patient.history[key]
            place.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.2)
            shown = values[max(1, len(values) // 12) :]
            if key == "objective":
                place.plot(patient.steps, patient.tested, ":", color=look.QUIET, linewidth=2)
                shown = np.concatenate([shown, patient.tested[-max(1, len(patient.tested) * 4 // 5) :]])
            room = 0.08 * float(np.ptp(shown)) + 0.5
            place.set_ylim(shown.min() - room, shown.max() + room)
            place.tick_params(labelsize="x-small")
            if number == 0:
                place.set_title(title, color=colour, fontsize="medium")
            if number == len(ward) - 1:
                place.set_xlabel("step", fontsize="small")
        row[0].set_ylabel(f"{patient.name}\nnats per image", fontsize="small")
    return figure


lesson.show(charts(ward))

# %% [markdown]
# A first suspicion? Keep it in mind, and do not trust it yet: a curve that is flat from the first steps may be a model that is done, or one that never began.

# %% [markdown] section="3" title="Their pictures" minutes=7
# Each patient reconstructs the same test images, from the mean of $q$. Beside its name stands the mean squared error per pixel over all test images, pixels in $[0, 1]$. The row of PCA keeps as many numbers, $K = 8$.

# %%
shown = test[:9]
made, errors = {}, {}
for name, model in {"pca": lowerbound.PCA(patients.K).fit(train), **{name: patient.model for name, patient in ward.items()}}.items():
    made[name] = model.inverse_transform(model.transform(shown))
    errors[name] = float(squared_errors(model, test).mean())
lesson.show(figures.reconstructions(shown, made, errors=errors, k=patients.K))

# %% [markdown]
# And this is what each of them draws out of thin air: codes from the prior $\mathcal N(\mathbf 0, \mathbf I)$, the same for all, decoded.

# %%
drawn = {name: patient.model.sample(16) for name, patient in ward.items()}
for three in (list(ward)[:3], list(ward)[3:]):
    lesson.show(figures.samples_grid({name: drawn[name] for name in three}))

# %% [markdown] response="look_alikes"
# Two of the patients reconstruct digits well. Do their samples look as good? And which patients would you confuse if you had nothing but their samples?

# %% [markdown] section="4" title="Their numbers" minutes=7
# Pictures show that something is wrong, numbers show what. `examine` measures a model on images that it was not trained on. Some of what it measures, in a table:
#
# - the mean squared error per pixel of training and of test images, beside that of eight principal components *of the same training images*, and of the mean image;
# - the KL of test images in nats: what a code costs, and the dimensions that carry more than 0.01 of them;
# - how far the codes of all images together are from the prior, by their mean and covariance, in nats: 0 would be a perfect fit;
# - $\sigma_x$, the noise that the model gives a pixel.

# %%
found = {}
for name, patient in course.track(list(ward.items()), "examining"):
    found[name] = examine(patient.model, patient.train, test, images=250, steps=25, gaps=0)

rows = {
    "images it learned from": [f"{len(patient.train):,}" for patient in ward.values()],
    "error, training images": [f"{s.train_errors.mean():.4f}" for s in found.values()],
    "error, test images": [f"{s.errors.mean():.4f}" for s in found.values()],
    "  of 8 principal components": [f"{s.reference.errors[patients.K].mean():.4f}" for s in found.values()],
    "  of the mean image": [f"{s.mean_errors.mean():.4f}" for s in found.values()],
    "KL, nats per image": [f"{s.density.rate.mean:.1f}" for s in found.values()],
    "dimensions that say something": [f"{patients.K - len(s.codes.dead)} of {patients.K}" for s in found.values()],
    "codes from the prior, nats": [f"{abs(s.codes.divergence.mean):.1f}" for s in found.values()],
    "sigma of a pixel": [f"{s.density.sigma:.3f}" for s in found.values()],
    "steps of training": [f"{len(patient.history['kl']):,}" for patient in ward.values()],
}
print(" " * 30 + "".join(f"{name:>11}" for name in ward))
for words, values in rows.items():
    print(f"{words:30}" + "".join(f"{value:>11}" for value in values))


@look.drawn
def dimensions(found):
    """Nats of every dimension of the code."""
    figure = look.canvas(look.WIDTH, 2.6)
    axes = figure.subplots(1, len(found))
    for place, (name, s) in zip(axes, found.items(), strict=True):
        place.bar(np.arange(1, patients.K + 1), np.sort(s.codes.kl)[::-1], color=look.KL)
        place.set_title(name, fontsize="small", loc="center")
        place.tick_params(labelsize="x-small")
        place.set_xticks([1, patients.K])
        place.set_ylim(0, max(1.0, 1.1 * float(s.codes.kl.max())))
    axes[0].set_ylabel("KL of a dimension, nats", fontsize="small")
    axes[len(axes) // 2].set_xlabel("dimensions of the code, the most talkative first", fontsize="small")
    return figure


lesson.show(dimensions(found))

# %% [markdown]
# Read the table row by row, and ask in each who stands out against the healthy model. One patient stands out in one row, another in several: then ask which of these comes first.

# %% [markdown] section="5" title="Your diagnosis" minutes=7
# **Exercise.** Write down what each patient suffers from, in the names of the table of section 1. There are more names than patients.
#
# The check says how many are right and which symptom deserves another look; it will not tell you the ailment.

# %% exercise="diagnosis"
# BEGIN SOLUTION
#> a dictionary with a name for each patient, from the left column of the table in section 1:
#> {"patient A": "", "patient B": "", "patient C": "", "patient D": "", "patient E": ""}
diagnosis = {
    "patient A": "over-fitting",
    "patient B": "aggregate posterior far from the prior",
    "patient C": "stuck at the mean image",
    "patient D": "not yet converged",
    "patient E": "posterior collapse",
}
# END SOLUTION

# %%
diagnosis = lesson.check("diagnosis", diagnosis)

# %% [markdown] discuss="who_was_hard"
# Compare before you read on: which patient did you disagree about in your group, and which symptom settled it? For each of the five, agree on **one** thing that you would change first, and say what you expect to see if you are right.

# %% [markdown] section="6" title="A second opinion, and a cure" minutes=6
# Now the program's opinion: `diagnose` turns what `examine` measured into findings, causes before effects. Every finding comes with the numbers behind it, how sure it is, and one thing to try. (This answers the exercise, so do not run it too early.)

# %%
for name, s in found.items():
    ailments = [finding for finding in diagnose(s) if finding.severity == "ailment"]
    if not ailments:
        print(f"{name}: in good health\n")
        continue
    first, *others = ailments
    print(f"{name}: {first.name} ({first.certainty})\n  {first.evidence}\n  try: {first.advice}")
    print(f"  also found: {', '.join(other.name for other in others)}\n" if others else "")

# %% [markdown]
# Do you agree with all of it? Look at the findings after the first: most of them *follow* from it.
#
# A doctor may be wrong, so a diagnosis is tested by its cure. One of the patients has a noise of $\sigma_x = 0.6$ that somebody chose and held, far above its errors: the lax sigma of lesson 6, in which a code is hardly worth its nats. The cure is to let the model
# learn its $\sigma_x$. Everything else stays: the same images, the same $K$, the same spread for each dimension of $q$.

# %%
import torch

from lowerbound.posterior import DiagonalNormal
from lowerbound.recipes import vae
from lowerbound.settings import Settings, one_cycle

torch.manual_seed(0)
cured = vae(digits.image_shape, patients.K, start=lowerbound.PCA(patients.K).fit(train), posterior=DiagonalNormal)
cured.fit(train, Settings(epochs=10, batch_size=100, learning_rate=3e-3, schedule=one_cycle))
after = examine(cured, train, test, images=250, steps=25, gaps=0)
before = found["patient E"]
for words, s in (("before", before), ("after", after)):
    print(
        f"{words:7} sigma {s.density.sigma:.3f}, error of test images {s.errors.mean():.4f}, "
        f"{patients.K - len(s.codes.dead)} of {patients.K} dimensions in use, ELBO {s.density.elbo.mean():.1f} nats per image"
    )
print("still ill with: " + (", ".join(finding.name for finding in diagnose(after) if finding.severity == "ailment") or "nothing"))

# %% [markdown]
# **Your own models.** From a terminal, every model that `lowerbound` has trained can be examined, with a figure of all symptoms:
#
#     lowerbound train mnist -k 20
#     lowerbound diagnose RUN
#
# where `RUN` is the folder that the first command names. For a model written by hand, like that of lesson 7, go through the list of this lesson:
#
# - *Did it train?* Plot reconstruction, KL and $\sigma_x$ apart. Is one of them still on its way? Is the error that of the mean image? Then start again from other random weights, or from a better start.
# - *Is K too small or too large?* Count the dimensions that carry nats, and compare with PCA.
# - *Is the decoder expressive enough?* More planes or layers; compare its error with the plain autoencoder's.
# - *Is q?* A spread for each dimension in place of one for all; or the importance-weighted bound of lesson 9, which suffers less from a poor $q$.
# - *Do all the q's together match the prior?* Compare the mean and covariance of the codes with $\mathbf 0$ and $\mathbf I$. If not, samples will be poor, however good the reconstructions are: fit a prior to the codes (lesson 9).

# %% [markdown] response="one_thing"
# Think of your own VAE of lesson 7: which of the ten ailments is the likeliest, on what evidence, and what single change would you try first?
