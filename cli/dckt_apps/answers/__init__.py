"""What a search found, as one page that needs nothing else."""
