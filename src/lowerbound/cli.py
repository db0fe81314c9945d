"""The command line: parse, call, print. What takes long to import is imported by the command that needs it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lowerbound import (
    advice_verbs,
    diagnosis_verbs,
    evaluation_verbs,
    export_verbs,
    inference_verbs,
    moving_verbs,
    nats_verbs,
    page_verbs,
    restore_verbs,
    run_verbs,
    search_verbs,
    training_verbs,
)
from lowerbound.course_verbs import course_app
from lowerbound.data_verbs import data_app

__all__ = ["Interrupted", "app"]


class Interrupted(Exception):  # noqa: N818  (nothing went wrong)
    """Ctrl-C came while a command ran; the message says how to go on, where there is a way."""


class _Group(TyperGroup):
    """Says of a Ctrl-C what the command that it met had to say."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            raise Interrupted(*interruption.args) from None


app = typer.Typer(
    cls=_Group,
    help="See inside latent-variable models of images: what K numbers can keep of them, four ways.\n\n"
    "Begin with `lowerbound compare digits`: it trains PCA, a linear autoencoder, a convolutional autoencoder and a "
    "VAE, and writes one report to open. `lowerbound COMMAND --help` has an example of each command.\n\n"
    "Exit codes: 0 done, 1 a failure, 2 what was asked cannot be done, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
app.add_typer(data_app, name="data")
app.add_typer(course_app, name="course")


def _version(asked: bool) -> None:  # noqa: FBT001  (typer's own signature)
    if asked:
        from importlib.metadata import version

        print(f"lowerbound {version('lowerbound')}")
        raise typer.Exit


@app.callback()
def lowerbound(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit")
    ] = False,
) -> None:
    """Nothing is asked of the program as a whole but its version."""


for name, verb in (
    *training_verbs.VERBS,
    *run_verbs.VERBS,
    *moving_verbs.VERBS,
    *restore_verbs.VERBS,
    *search_verbs.VERBS,
    *page_verbs.VERBS,
    *export_verbs.VERBS,
    *inference_verbs.VERBS,
    *nats_verbs.VERBS,
    *evaluation_verbs.VERBS,
    *diagnosis_verbs.VERBS,
    *advice_verbs.VERBS,
):
    app.command(name)(verb)
