"""The command line: parse, call, print. What takes long to import is imported by the command that needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lowerbound.errors import InputError

__all__ = ["app"]

app = typer.Typer(
    help="See inside latent-variable models of images: what K numbers can keep of them, four ways.\n\n"
    "Begin with `lowerbound compare digits`: it trains PCA, a linear autoencoder, a convolutional autoencoder and a "
    "VAE, and writes one report to open.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
data_app = typer.Typer(help="What images there are: list, get, show.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Source = Annotated[
    str, typer.Argument(help="digits, patches, mnist, fashion_mnist, cifar10, a folder of images, a .npy or .npz file")
]
DataDir = Annotated[
    Path | None, typer.Option(help="Where data sets lie or are put; else LOWERBOUND_DATA, else a cache folder")
]
Size = Annotated[int | None, typer.Option(help="Height and width to bring a folder's images to")]
Style = Annotated[str, typer.Option(help="Of the figures: plain, or xkcd (hand-drawn)")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder, as compare and train write it")]
ModelName = Annotated[str | None, typer.Option("--model", "-m", help="pca, linear, conv or vae")]
OneK = Annotated[int | None, typer.Option("-k", help="Which K, where the run has several")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="File to write")]
Seed = Annotated[int, typer.Option(help="Fixes all that is random", min=0)]
Epochs = Annotated[str | None, typer.Option(help="In place of the recipe's own")]
Network = Annotated[str, typer.Option(help="strided (starts at PCA), or tutorial (with the tutorial's training)")]


@data_app.command("list")
def data_list() -> None:
    """List the known sources of images.

    Example: lowerbound data list
    """
    from rich.console import Console
    from rich.table import Table

    from lowerbound.sources import SOURCES

    table = Table("name", "what", "training", "test", "from", box=None, pad_edge=False)
    for name, source in SOURCES.items():
        table.add_row(name, source.description, f"{source.train:,}", f"{source.test:,}", source.origin)
    Console().print(table)
    print("\nAny folder of image files (sub-folders are classes), .npy or .npz file is a source, too.")


@data_app.command("get")
def data_get(names: Annotated[list[str], typer.Argument(help="Known sources")], data_dir: DataDir = None) -> None:
    """Download data sets and check them; what is there already is only checked.

    Example: lowerbound data get mnist cifar10
    """
    from lowerbound.progress import terminal
    from lowerbound.sources import fetch

    for name in names:
        files = fetch(name, data_dir=data_dir, progress=terminal)
        print(f"{name}: " + (", ".join(map(str, files)) if files else "comes with scikit-learn, nothing to download"))


@data_app.command("show")
def data_show(
    source: Source, data_dir: DataDir = None, size: Size = None, out: Out = None, style: Style = "plain", seed: Seed = 0
) -> None:
    """Draw a sheet of a source's images with their classes, and say how many there are and how large.

    Example: lowerbound data show mnist
    """
    import numpy as np

    from lowerbound import figures, look

    images = _load(source, data_dir, size)
    train = images.train
    order = np.random.default_rng(seed).permutation(len(train))[:30]
    channels, height, width = images.image_shape
    print(f"{images.name}: {len(train):,} training and {len(images.test):,} test images")
    print(f"each of {channels} x {height} x {width} values (channels, height, width), 8 bits")
    print(f"values from {train.pixels.min()} to {train.pixels.max()}; models see them divided by 255")
    if images.class_names:
        print(f"{len(images.class_names)} classes: {', '.join(images.class_names[:20])}")
    with look.style(style):
        sheet = train[order]
        figure = figures.samples_of(sheet.pixels, sheet.labels, images.class_names, title=images.name)
        _save_figure(figure, out or Path(f"{images.name}.png"))


@app.command()
def compare(
    source: Source,
    k: Annotated[str | None, typer.Option("-k", help="Numbers per image; several as 5,10,20,50")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; else runs/NAME-kK-DATE")] = None,
    network: Network = "strided",
    epochs: Epochs = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
) -> None:
    """Train PCA, a linear autoencoder, a convolutional autoencoder and a VAE; write one run folder with a report.

    Example: lowerbound compare mnist -k 20

    Example: lowerbound compare photos/ --size 32 -k 5,10,20,50
    """
    from lowerbound.comparison import FOUR

    _begin(source, FOUR, k, out, network, epochs, seed, data_dir, size, style)


@app.command()
def train(
    source: Annotated[str | None, typer.Argument(help="As for compare; not with --resume")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="pca, linear, conv or vae")] = "vae",
    k: Annotated[str | None, typer.Option("-k", help="Numbers per image; several as 5,10,20,50")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; else runs/NAME-kK-DATE")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run, where it was left")] = None,
    network: Network = "strided",
    epochs: Annotated[
        str | None, typer.Option(help="In place of the recipe's own; +5 with --resume for 5 more")
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
) -> None:
    """Train one model, or go on training a run.

    Example: lowerbound train mnist --model conv -k 20

    Example: lowerbound train --resume runs/mnist-k20-2026-11-22 --epochs +5
    """
    if resume is None:
        if source is None:
            raise InputError("no source came; expected one, as in `lowerbound train mnist`, or --resume RUN")
        _begin(source, (model,), k, out, network, epochs, seed, data_dir, size, style)
    elif source is not None:
        raise InputError(f"both {source} and --resume {resume} came; a run knows its source, leave {source} out")
    else:
        _resume(resume, epochs, data_dir)


@app.command()
def sample(
    run: RunFolder,
    number: Annotated[int, typer.Option("-n", help="How many", min=1)] = 25,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Out = None,
    style: Style = "plain",
) -> None:
    """Decode random codes z ~ N(0, I) to new images: a figure, or an array with --out FILE.npy.

    Example: lowerbound sample runs/mnist-k20-2026-11-22 -n 25 --out new.png
    """
    import numpy as np

    from lowerbound import figures, look

    folder, stored, fitted = _open(run, model, k)
    codes = np.random.default_rng(seed).standard_normal((number, stored.latent_dim)).astype(np.float32)
    made = fitted.inverse_transform(codes)
    with look.style(style):
        _save(made, lambda: figures.samples_grid({stored.recipe: made}), out or Path(f"{folder.path.name}-samples.png"))


@app.command()
def reconstruct(
    run: RunFolder,
    new_images: Annotated[Path | None, typer.Argument(help="A folder, an image or an array; else test images")] = None,
    number: Annotated[int, typer.Option("-n", help="How many", min=1)] = 8,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Out = None,
    data_dir: DataDir = None,
    style: Style = "plain",
) -> None:
    """Show images beside what each model keeps of them: a figure, or one model's reconstructions with --out FILE.npy.

    Example: lowerbound reconstruct runs/mnist-k20-2026-11-22 my-digits/
    """
    import numpy as np

    from lowerbound import figures, look
    from lowerbound.evaluation import squared_errors

    folder, stored, fitted = _open(run, model, k)
    images = _images_of(folder, new_images, data_dir)
    chosen = images[np.random.default_rng(seed).permutation(len(images))[:number]] if new_images is None else images
    if out is not None and out.suffix == ".npy":
        _save_array(fitted.inverse_transform(fitted.transform(chosen.pixels)), out)
        return
    shown = chosen[:number]
    each = {s.recipe: folder.load(s) for s in folder.models if s.latent_dim == stored.latent_dim}
    if model is not None:
        each = {stored.recipe: fitted}
    made = {name: one.inverse_transform(one.transform(shown.pixels)) for name, one in each.items()}
    errors = {name: float(squared_errors(one, shown.pixels).mean()) for name, one in each.items()}
    for name, error in errors.items():
        print(f"{name}: mean squared error {error:.6f} per pixel over these {len(shown)} images")
    with look.style(style):
        figure = figures.reconstructions(shown.pixels, made, k=stored.latent_dim)
        _save_figure(figure, out or Path(f"{folder.path.name}-reconstructions.png"))


@app.command()
def interpolate(
    run: RunFolder,
    first: Annotated[int | None, typer.Option(help="Position of the first test image; else drawn")] = None,
    last: Annotated[int | None, typer.Option(help="Position of the last test image; else drawn")] = None,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Out = None,
    data_dir: DataDir = None,
    style: Style = "plain",
) -> None:
    """Show the way from one test image to another, in pixels and through the codes of each model, in 11 steps.

    Example: lowerbound interpolate runs/mnist-k20-2026-11-22 --first 3 --last 18
    """
    from lowerbound import figures, look, report

    folder, stored, fitted = _open(run, model, k)
    images = _images_of(folder, None, data_dir)
    ends = [
        drawn if given is None else given for given, drawn in zip((first, last), report.pair(images, seed), strict=True)
    ]
    for end in ends:
        if not 0 <= end < len(images):
            raise InputError(f"there is no test image {end}; expected 0 to {len(images) - 1}")
    each = {s.recipe: folder.load(s) for s in folder.models if s.latent_dim == stored.latent_dim}
    if model is not None:
        each = {stored.recipe: fitted}
    ways = report.interpolate(each, images.pixels[ends[0]], images.pixels[ends[1]])
    print(f"from test image {ends[0]} to test image {ends[1]}")
    with look.style(style):
        _save_figure(figures.interpolation(ways), out or Path(f"{folder.path.name}-interpolation.png"))


@app.command()
def encode(
    run: RunFolder,
    new_images: Annotated[Path | None, typer.Argument(help="A folder, an image or an array; else test images")] = None,
    model: ModelName = None,
    k: OneK = None,
    out: Out = None,
    data_dir: DataDir = None,
) -> None:
    """Write the codes of images, K numbers each, to a .npy or .parquet file (with names and labels in the latter).

    Example: lowerbound encode runs/mnist-k20-2026-11-22 my-digits/ --out codes.parquet
    """
    folder, stored, fitted = _open(run, model, k)
    out = out or Path(f"{folder.path.name}-codes.npy")
    if out.suffix not in (".npy", ".parquet"):
        raise InputError(f"{out} ends in {out.suffix or 'nothing'}; expected .npy or .parquet")
    images = _images_of(folder, new_images, data_dir)
    codes = fitted.transform(images.pixels)
    if out.suffix == ".npy":
        _save_array(codes, out)
        return
    from lowerbound.storage import codes_table

    _write(codes_table(codes, images), out)
    print(f"{out}: codes of {len(codes):,} images by {stored.name}")


@app.command()
def spectrum(
    source: Annotated[str, typer.Argument(help="A run folder, or a source of images as for compare")],
    k: OneK = None,
    out: Out = None,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
) -> None:
    """Draw the fraction of the images' variance that lies in the first K principal components.

    Example: lowerbound spectrum mnist -k 20
    """
    from lowerbound import curves, look
    from lowerbound.pca import PCA
    from lowerbound.progress import terminal
    from lowerbound.storage import Run

    if (Path(source) / "run.json").is_file():
        folder = Run.open(Path(source))
        name, k = folder.path.name, k or folder.about["shown_k"]
        stored = next((s for s in folder.models if s.recipe == "pca"), None)
        pca = None if stored is None else folder.load(stored)
        pixels = None if stored is not None else _source_of(folder, data_dir).train.pixels
    else:
        from lowerbound.comparison import choose_k

        images = _load(source, data_dir, size)
        name, k, pca, pixels = images.name, k or choose_k(images)[0], None, images.train.pixels
    if pca is None:
        pca = PCA(1).fit(pixels, terminal)  # type: ignore[arg-type]
    explained = pca.explained  # type: ignore[union-attr]
    if not 1 <= k < len(explained):
        raise InputError(f"k is {k}; expected 1 to {len(explained) - 1}, the components there are")
    print(f"{explained[k]:.1%} of the variance lies in the first {k} of {len(explained) - 1:,} principal components")
    with look.style(style):
        _save_figure(curves.eigenspectrum(explained, k), out or Path(f"{name}-spectrum.png"))


def _begin(
    source: str,
    models: tuple[str, ...],
    k: str | None,
    out: Path | None,
    network: str,
    epochs: str | None,
    seed: int,
    data_dir: Path | None,
    size: int | None,
    style: str,
) -> None:
    """Load, plan, train, and print what came out."""
    from lowerbound import look
    from lowerbound.comparison import Plan, begin, choose_k
    from lowerbound.errors import nearest
    from lowerbound.recipes import NETWORKS, recipe

    for model in models:
        recipe(model)
    if network not in NETWORKS:
        raise InputError(
            f'there is no network "{network}"{nearest(network, NETWORKS)}; known are {", ".join(NETWORKS)}'
        )
    with look.style(style):  # an unknown style is refused now, not after an hour of training
        pass
    ks = None if k is None else _numbers(k)
    images = _load(source, data_dir, size)
    if ks is None:
        chosen, reason = choose_k(images)
        ks = (chosen,)
        print(f"K: {reason}; -k gives another")
    plan = Plan(ks, models, network, None if epochs is None else _whole(epochs, "epochs"), seed, style)
    _finish(begin(images, plan, out, command=" ".join(["lowerbound", *sys.argv[1:]])), images)


def _resume(path: Path, epochs: str | None, data_dir: Path | None) -> None:
    """Go on with a run, for more epochs where asked."""
    from lowerbound.comparison import more_epochs
    from lowerbound.storage import Run

    run = Run.open(path, unfinished=True)
    complete = run.about["status"] == "complete"
    if epochs is None and complete:
        raise InputError(f"{path} is complete; to train on, say for how long: --epochs +5")
    if epochs is not None and not complete:
        raise InputError(f"{path} is not complete; leave --epochs out to finish it first")
    images = _source_of(run, data_dir)
    if epochs is not None:
        if not epochs.startswith("+"):
            raise InputError(f"epochs is {epochs}; expected how many more, as in --epochs +5")
        more_epochs(run, _whole(epochs[1:], "epochs"))
    _finish(run, images)


def _finish(run: Any, images: Any) -> None:
    """Train, measure and draw; print the table and where the report is."""
    from rich.console import Console
    from rich.table import Table

    from lowerbound.comparison import go_on
    from lowerbound.progress import terminal
    from lowerbound.report import FOOTNOTE, HEADER, rows

    machine = run.about["machine"]
    print(f"run: {run.path}\ncomputing on {machine['device']} with {machine['threads']} threads")
    try:
        go_on(run, images, progress=terminal)
    except KeyboardInterrupt:
        print(f"interrupted; go on with `lowerbound train --resume {run.path}`", file=sys.stderr)
        raise
    table = Table(*HEADER, box=None, pad_edge=False, header_style="bold")
    for row in rows(run.metrics):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    print(FOOTNOTE)
    print(f"report: {run.path / 'report.html'}")


def _load(source: str, data_dir: Path | None, size: int | None) -> Any:
    """A source's images; what was chosen for the user is said once."""
    from lowerbound.progress import terminal
    from lowerbound.sources import load

    images = load(source, data_dir=data_dir, size=size, progress=terminal)
    for choice in images.choices:
        print(f"{images.name}: {choice}")
    for file, reason in images.skipped[:10]:
        print(f"left out: {file} ({reason})", file=sys.stderr)
    if len(images.skipped) > 10:
        print(f"left out: {len(images.skipped) - 10:,} more, listed in the run", file=sys.stderr)
    return images


def _source_of(run: Any, data_dir: Path | None) -> Any:
    """The images that a run was made from."""
    from lowerbound.progress import terminal
    from lowerbound.sources import load

    source = run.about["source"]
    return load(source["source"], data_dir=data_dir, size=source.get("size"), progress=terminal)


def _images_of(run: Any, new_images: Path | None, data_dir: Path | None) -> Any:
    """New images brought to the run's size, or its own test images."""
    from lowerbound.progress import terminal
    from lowerbound.sources import read

    if new_images is not None:
        return read(new_images, tuple(run.about["source"]["image_shape"]), progress=terminal)
    return _source_of(run, data_dir).test


def _open(path: Path, model: str | None, k: int | None) -> tuple[Any, Any, Any]:
    """A complete run, one of its models, and that model with its weights."""
    from lowerbound.storage import Run

    run = Run.open(path)
    stored = run.choose(model, k)
    return run, stored, run.load(stored)


def _numbers(text: str) -> tuple[int, ...]:
    """The whole numbers of "5,10,20", each once, in rising order."""
    return tuple(sorted({_whole(part, "k") for part in text.split(",")}))


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f'{name} is "{text}"; expected whole numbers, as in 20 or 5,10,20') from None


def _save(array: Any, draw: Any, out: Path) -> None:
    """An array to .npy, else a figure of it."""
    if out.suffix == ".npy":
        _save_array(array, out)
    else:
        _save_figure(draw(), out)


def _save_array(array: Any, out: Path) -> None:
    import io

    import numpy as np

    whole = io.BytesIO()
    np.save(whole, array, allow_pickle=False)
    _write(whole.getvalue(), out)
    print(f"{out}: float32 {list(array.shape)}")


def _write(content: bytes, out: Path) -> None:
    from lowerbound.whole import write_whole

    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, content)


def _save_figure(figure: Any, out: Path) -> None:
    """A figure as PNG and SVG beside each other, whichever of the two was named."""
    from lowerbound.look import save

    if out.suffix not in (".png", ".svg"):
        raise InputError(f"{out} ends in {out.suffix or 'nothing'}; expected .png or .svg (or .npy where arrays come)")
    png, svg = save(figure, out.parent, out.stem)
    print(f"{png} and {svg}")
