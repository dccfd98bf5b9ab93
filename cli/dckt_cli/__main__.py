"""`python -m dckt_cli`, for torchrun: `torchrun --nproc-per-node 2 -m dckt_cli train ...`."""

import sys

from dckt_cli.main import main

sys.exit(main())
