"""Deep Cross-media Knowledge Transfer: networks, losses, curriculum, common space, loop."""
