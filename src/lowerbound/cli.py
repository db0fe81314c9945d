"""The command line: parse, call, print. What takes long to import is imported by the command that needs it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from lowerbound import (
    advice_verbs,
    diagnosis_verbs,
    evaluation_verbs,
    export_verbs,
    inference_verbs,
    moving_verbs,
    nats_verbs,
    outcome,
    page_verbs,
    restore_verbs,
    run_verbs,
    search_verbs,
    training_verbs,
)
from lowerbound.course_verbs import course_app
from lowerbound.data_verbs import data_app
from lowerbound.errors import nearest

__all__ = ["Interrupted", "app", "parsed"]

EVERYWHERE = ("--json", "--quiet", "-q", "--debug")  # options of the program, which may stand behind a command as well


class Interrupted(Exception):  # noqa: N818  (nothing went wrong)
    """Ctrl-C came while a command ran; the message says how to go on, where there is a way."""


def parsed(error: TyperException) -> str:
    """The parser's words on what cannot be parsed, in one line: with the name that was meant, and where names are listed."""
    words, context = error.format_message().rstrip(". "), getattr(error, "ctx", None)
    if not words:
        return ""
    words = words.replace("'", '"').replace(". Did you mean", "; did you mean")
    option = getattr(error, "option_name", None)
    if context is not None and isinstance(option, str) and "No such option" in words:
        known = [name for each in context.command.params for name in each.opts if name.startswith("--")]
        words = f"No such option: {option}{nearest(option, [*known, '--help'])}"
    path = "lowerbound" if context is None else context.command_path
    lists = "commands" if path in ("lowerbound", "lowerbound data", "lowerbound course") else "options"
    return f"{words}; `{path} --help` lists the {lists}"


class _Group(TyperGroup):
    """Says of a Ctrl-C what the command that it met had to say, and takes the program's own options from anywhere."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        cut = args.index("--") if "--" in args else len(args)
        at = next((place for place, word in enumerate(args[:cut]) if not word.startswith("-")), cut)
        named = [word for word in args[at:cut] if not word.startswith("-")][:2]
        command = self.commands.get(named[0]) if named else None
        inner = getattr(command, "commands", {}).get(named[1]) if len(named) > 1 else None
        own = {name for each in (command, inner) if each is not None for one in each.params for name in one.opts}
        moved = [word for word in args[at:cut] if word in EVERYWHERE and word not in own]
        kept = [word for word in args[at:cut] if word not in EVERYWHERE or word in own]
        left = super().parse_args(ctx, [*args[:at], *moved, *kept, *args[cut:]])
        asked = {name: bool(ctx.params.get(name)) for name in ("as_json", "quiet", "debug")}
        outcome.current().begin(" ".join(named[: 1 if inner is None else 2]), **asked)
        return left

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
    "Exit codes: 0 done, 1 a failure, 2 what was asked cannot be done, 130 interrupted. The options here may stand before a "
    "command or behind it; of a command that has a `--json FILE` of its own, `--json` stands before it.",
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for programs; the words go to standard error")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no notes, only results and errors")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, too; so does LOWERBOUND_DEBUG=1")
    ] = False,
) -> None:
    """What holds for every command is settled before it is parsed, by the group above."""


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
