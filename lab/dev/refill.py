"""Put the template that was last built around the parts of a page made before: python lab/dev/refill.py PAGE.html."""

import re
import sys
from pathlib import Path

page = Path(sys.argv[1])
template = (Path(__file__).resolve().parent.parent / "dist" / "template.html").read_text("utf-8")
old = page.read_text("utf-8")
tags = "\n".join(re.findall(r'<script type="text/plain" id="asset:[^>]*>[^<]*</script>', old))
title = re.search(r"<title>[^<]*</title>", old).group()
page.write_text(template.replace("<title>lowerbound</title>", title).replace("<!--assets-->", tags), "utf-8")
