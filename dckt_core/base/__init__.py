"""What everything else stands on: errors, progress, seeds, devices, memory."""
