"""How the two networks learn: the losses, the optimizers, the batches and the progressive loop."""
