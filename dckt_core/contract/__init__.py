"""The extension contract: what a plugin's author reads, and what checks it."""
