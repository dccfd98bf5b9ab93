"""From a trained run to answers: galleries of images and texts, the index folders that keep them, and their search."""
