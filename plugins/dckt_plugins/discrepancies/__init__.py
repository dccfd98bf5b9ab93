"""Domain-discrepancy losses that ship in the box."""
