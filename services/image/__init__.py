"""Images: their records, who sees them, and their content, kept once by its digest."""
