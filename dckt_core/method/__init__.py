"""Deep Cross-media Knowledge Transfer: networks, losses, curriculum, loop."""
