"""A real page from a run, for whoever writes panels before the packer is there.

    PYTHONPATH=/where/onnx/is python lab/dev/make_fixture.py RUN OUT.html
    python lab/dev/refill.py OUT.html        after each build: the same parts in the new template, in a second
"""

import base64
import gzip
import html
import json
import sys
from pathlib import Path

import numpy as np
import torch

from lowerbound import report, sources
from lowerbound.graphs import decoder_of, graphs
from lowerbound.replicates import averaged
from lowerbound.look import model_style
from lowerbound.pca import PCA
from lowerbound.storage import Run
from lowerbound.vae import VAE

torch.set_num_threads(1)
LAB = Path(__file__).resolve().parent.parent


def means(values, most=400):
    parts = np.array_split(np.asarray(values, float), min(most, len(values)))
    return [None if not np.isfinite(part.mean()) else float(f"{part.mean():.6g}") for part in parts]


def ascent(model, x, encoded):
    """The ELBO ascent on the mean and one log-scale of q of an image, by Adam; what the page replays."""
    mean = torch.zeros(encoded.mean.shape[1], requires_grad=True)
    log_spread = torch.zeros(1, requires_grad=True)
    adam = torch.optim.Adam([mean, log_spread], lr=0.1)

    def elbo(mean, spread, draws=16):
        torch.manual_seed(0)
        z = mean + spread * torch.randn(draws, len(mean))
        fit = model.decoder(z).log_prob(x.expand(draws, *x.shape[1:]))
        fit = fit.reshape(draws, -1).sum(1).mean() if fit.ndim > 1 else fit.mean()
        return fit - (0.5 * (mean**2 + spread**2 - 1) - spread.log()).expand_as(mean).sum()

    kept = {"steps": [], "phi_mean": [], "phi_log_spread": [], "elbo": []}
    for step in range(61):
        value = elbo(mean, log_spread.exp())
        if step % 5 == 0:
            kept["steps"].append(step)
            kept["phi_mean"].append([round(v, 4) for v in mean.tolist()])
            kept["phi_log_spread"].append([round(v, 4) for v in log_spread.tolist()])
            kept["elbo"].append(round(float(value.detach()), 3))
        adam.zero_grad()
        (-value).backward()
        adam.step()
    spread = encoded.stddev[0, :1]
    return kept | {
        "encoder_mean": encoded.mean[0].tolist(), "encoder_spread": spread.tolist(),
        "encoder_elbo": float(elbo(encoded.mean[0], spread)), "best_elbo": max(kept["elbo"]),
    }


def film(stored, train, follow, samples=25):
    """Codes, reconstructions and samples at moments of a training of the same model, anew and short."""
    torch.manual_seed(0)
    model = stored.build()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    noise = torch.randn(samples, stored.latent_dim)
    moments = [0, 1, 2, 4, 8, 15, 25, 40]
    kept = {"steps": [], "epochs": [], "elbo_or_loss": [], "codes": [], "reconstructions": [], "samples": []}
    for step in range(moments[-1] + 1):
        batch = train[torch.randint(len(train), (32,))]
        terms = model.loss(batch)
        if step in moments:
            with torch.no_grad():
                q = model.encoder(follow)
                shown = [model.decoder(z) for z in (q.mean, noise)]
                shown = [(x if isinstance(x, torch.Tensor) else x.mean).clamp(0, 1) for x in shown]
            kept["steps"].append(step)
            kept["epochs"].append(round(step * 32 / len(train), 3))
            kept["elbo_or_loss"].append(float(terms.loss.mean().detach()))
            kept["codes"].append(q.mean.numpy())
            kept["reconstructions"].append((shown[0].numpy()[:32] * 255).round().astype(np.uint8))
            kept["samples"].append((shown[1].numpy() * 255).round().astype(np.uint8))
        adam.zero_grad()
        terms.loss.mean().backward()
        adam.step()
    return kept


def main(folder, out):
    run = Run.open(Path(folder))
    about, k = run.about, run.about["shown_k"]
    images = sources.load(about["source"]["source"])
    shape = tuple(about["source"]["image_shape"])
    test = images.test.pixels
    x = torch.tensor(test / 255.0, dtype=torch.float32)
    train = torch.tensor(images.train.pixels / 255.0, dtype=torch.float32)
    metrics = averaged(run.metrics)
    assets, models, histories, films, posterior, spectrum = {}, [], {}, {}, [], None
    assets["images"] = test.tobytes()
    if images.test.labels is not None:
        assets["labels"] = np.asarray(images.test.labels, "<u2").tobytes()
    for stored in run.models:
        if stored.latent_dim != k:
            continue
        model, name, style = run.load(stored), stored.recipe, model_style(stored.recipe)
        codes = np.asarray(model.transform(test), np.float64)
        covariance = np.atleast_2d(np.cov(codes.T))
        values, axes = np.linalg.eigh(covariance)
        axes = axes.T[::-1]
        rate = None
        if isinstance(model, VAE):
            with torch.no_grad():
                q = model.encoder(x)
            spread = q.stddev[:, :1].numpy()
            assets[f"spread:{name}"] = spread.astype("<f2").tobytes()
            rate = (0.5 * (codes**2 + spread**2 - 1) - np.log(spread)).mean(0)
            films[name] = film(stored, train, x[:200])
            posterior = [{"image": i, "model": name, **ascent(model, x[i : i + 1], model.encoder(x[i : i + 1]))} for i in (0, 3)]
        elif name == "conv":
            films[name] = film(stored, train, x[:200])
        if isinstance(model, PCA):
            components = (model.components * np.sqrt(np.maximum(model.variances[: len(model.components)], 0))[:, None]).astype("<f4")
            assets["spectrum"] = np.asarray(model.components, "<f4").tobytes()
            spectrum = {"fractions": [float(v) for v in model.explained[: len(components) + 1]],
                        "mean": [round(float(v), 5) for v in model.mean], "total": float(model.total_variance)}
        decoder = decoder_of(model)
        check = np.round(np.random.default_rng(0).normal(size=k), 4)
        with torch.no_grad():
            answer = decoder(torch.tensor(check[None], dtype=torch.float32)).numpy()
        assets[f"check:{name}"] = answer.astype("<f4").tobytes()
        assets[f"codes:{name}"] = codes.astype("<f2").tobytes()
        assets[f"errors:{name}"] = ((model.inverse_transform(codes.astype(np.float32)) - test / 255.0) ** 2).mean((1, 2, 3)).astype("<f4").tobytes()
        made = graphs(model, test[:50])
        assets[f"decoder:{name}"], assets[f"encoder:{name}"] = made.decoder, made.encoder
        variance = codes.var(0)
        row = next(row for row in metrics if row["model"] == name and row["k"] == k)
        models.append({
            "name": name, "label": style.label, "colour": style.colour, "marker": style.marker, "k": k, "encoder": True,
            "generates": name in ("vae", "pca", "ppca"), "sigma": row.get("sigma"), "prior": "N(0, I)",
            "mean": codes.mean(0).tolist(), "axes": axes.tolist(), "scale": np.sqrt(np.maximum(values[::-1], 0)).tolist(),
            "raw_mean": codes.mean(0).tolist(), "raw_scale": codes.std(0).tolist(), "carries": (variance / variance.sum()).tolist(),
            "rate": None if rate is None else rate.tolist(),
            "collapsed": [bool(rate is not None and rate[i] < 0.1) for i in range(k)], "check": check.tolist(),
        })
        history = run.history(stored)
        if history:
            got = {key: means(values) for key, values in history.items()}
            loss = next(iter(values for key, values in got.items() if key == "loss"))
            length = len(next(iter(history.values())))
            histories[name] = {
                "step": means(range(1, length + 1)), "loss": loss, "reconstruction": got.get("distortion") if rate is not None else None,
                "kl": got.get("rate") if rate is not None else None, "sigma": got.get("sigma"),
            }
    for name, kept in films.items():
        assets[f"film:{name}:codes"] = np.stack(kept["codes"]).astype("<f2").tobytes()
        assets[f"film:{name}:reconstructions"] = np.stack(kept["reconstructions"]).tobytes()
        assets[f"film:{name}:samples"] = np.stack(kept["samples"]).tobytes()
    meta = {
        "schema": 1, "program": "lowerbound 0.1.0",
        "title": f"{about['source']['name']}: {shape[1]} × {shape[2]} grey images through K = {k} numbers",
        "verdict": report.verdict(metrics, k), "footnote": report.footnote(run),
        "source": {name: about["source"][name] for name in ("name", "train", "test")}, "shape": shape, "shown": len(test), "k": k,
        "classes": list(images.class_names) or None, "images": {"encoding": "raw", "sheets": 0, "columns": 0}, "models": models,
        "table": {"header": list(report.HEADER), "rows": [list(row) for row in report.rows(metrics)]},
        "facts": [["data", about["source"]["source"]], ["made", about["created"]]], "histories": histories, "spectrum": spectrum,
        "sweep": {m["name"]: [[j, 0.05 / j**0.5, 0.001] for j in (2, 4, 8)] for m in models} if "--sweep" in sys.argv else None,
        "findings": [{"model": "vae", "name": "an example finding", "certainty": "likely", "evidence": "2 of 8 dimensions carry nothing",
                      "try": "a smaller beta", "panel": "dimensions"}],
        "film": {name: {"steps": kept["steps"], "epochs": kept["epochs"], "elbo_or_loss": kept["elbo_or_loss"], "images": list(range(200)),
                        "shown_images": 32, "encoding": "raw", "samples": 25} for name, kept in films.items()} or None,
        "posterior": posterior, "left_out": [],
    }
    assets["meta"] = json.dumps(meta, ensure_ascii=False).encode()
    assets["wasm"] = (LAB / "dist" / "ort-wasm-simd-threaded.wasm").read_bytes()
    write(Path(out), meta["title"], assets)


def write(out, title, assets):
    """Fill the template's places."""
    tags = "\n".join(
        f'<script type="text/plain" id="asset:{html.escape(name)}">{base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()}</script>'
        for name, data in assets.items()
    )
    page = (LAB / "dist" / "template.html").read_text("utf-8")
    page = page.replace("<title>lowerbound</title>", f"<title>{html.escape(title)}</title>").replace("<!--assets-->", tags)
    out.write_text(page, "utf-8")
    print(f"{out}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:3])
