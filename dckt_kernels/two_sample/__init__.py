"""Two-sample tests by MMD, distances between sets of features as they are published, and where samples differ."""
