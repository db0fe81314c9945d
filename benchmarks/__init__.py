"""Speed and quality, measured and printed; nothing here is a test."""
