"""A distribution that ends the program at import, as scripts without a main guard do."""

import sys

print("hello from a script")
sys.exit(0)
