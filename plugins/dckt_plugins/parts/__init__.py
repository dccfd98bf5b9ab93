"""Parts of the common space that ship in the box."""
