"""Rankings and their figures."""
