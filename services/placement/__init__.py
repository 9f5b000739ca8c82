"""Placement: what hosts have, who has which part of it, and where something more could go."""
