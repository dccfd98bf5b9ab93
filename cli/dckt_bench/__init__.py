"""Who computes MMD how fast: this package and its peers, measured side by side. `dckt bench-mmd` is its front end."""
