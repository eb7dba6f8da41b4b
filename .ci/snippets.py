"""Execute every ```python and ```bash block of a Markdown file, in a folder outside the checkout.

Lines that clone or call make are left out: .ci/run itself is on a clone and calls those targets.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

text, outside = Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]
environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
blocks = re.findall(r"^```(python|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
if not blocks:
    sys.exit("no snippets found")
folder = tempfile.mkdtemp(dir=outside)
for language, code in blocks:
    kept = "".join(line for line in code.splitlines(keepends=True) if not re.match(r"(git clone|cd|make) ", line))
    command = [sys.executable, "-W", "error", "-c", kept] if language == "python" else ["bash", "-euc", kept]
    print(f"-- {language}: {kept.strip().splitlines()[:1] or 'left to .ci/run'}", flush=True)
    subprocess.run(command, cwd=folder, env=environment, check=True)
print(f"{len(blocks)} snippets ran")
