"""One run, whole: its parts, training, folder, and the trained model."""
