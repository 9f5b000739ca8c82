"""From the version that landed last to this one, without a moment off."""
