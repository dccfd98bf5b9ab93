"""`dckt gap`: how far apart two samples lie, the layers of a run's networks or the features of two data sets."""
