"""Entropic optimal transport beside the MMD: plans, values, divergences and their gradients, without the matrix."""
