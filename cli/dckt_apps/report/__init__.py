"""What a run did, for people: `dckt report` and the plot of `dckt runs`."""
