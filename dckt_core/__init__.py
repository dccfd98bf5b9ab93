"""dckt: Deep Cross-media Knowledge Transfer. The engine and its extension points."""

__version__ = "0.1.0"
