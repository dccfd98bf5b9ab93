"""mAP of a split across media, in both directions: what choices are made on, and what a run reports in the end."""
