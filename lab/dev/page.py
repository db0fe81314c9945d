"""The live page of a run, in a file anywhere: python dev/page.py RUN OUT.html [--linked]."""

import sys
from pathlib import Path

from lowerbound import sources
from lowerbound.live_page import template, write_page
from lowerbound.payload import payload
from lowerbound.storage import Run

run = Run.open(Path(sys.argv[1]))
held = payload(run, sources.load(run.about["source"]["source"]))
write_page(Path(sys.argv[2]), held, template(), linked="--linked" in sys.argv)
