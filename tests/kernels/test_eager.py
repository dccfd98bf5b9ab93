from __future__ import annotations

import subprocess
import sys


def test_importing_the_kernels_imports_no_compiler() -> None:
    """It would double the time that every command takes to start."""
    code = "import sys, torch; before = 'torch._dynamo' in sys.modules; import dckt_kernels; "
    code += "print(before or 'torch._dynamo' not in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
