"""Image and text encoders that ship in the box."""
