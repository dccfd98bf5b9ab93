"""What the kernels do on this machine: `python -m dckt_kernels.selftest`. One JSON file, to be sent back."""
