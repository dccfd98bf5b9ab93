"""Features of any images or texts under an encoder, or their places in a trained run's common space, as files."""
