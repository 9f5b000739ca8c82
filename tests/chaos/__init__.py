"""A cloud of real processes under fire: `python -m tests.chaos`, or `make chaos`."""
