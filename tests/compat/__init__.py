"""Programs that others wrote, and what they say of weft's dialects."""
