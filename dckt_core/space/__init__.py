"""The common space: parts fitted on what is known of both domains, chosen on validation, used and kept as one."""
