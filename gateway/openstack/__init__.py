"""The OpenStack REST dialects: translation into the contracts' calls, without state and without rules."""
