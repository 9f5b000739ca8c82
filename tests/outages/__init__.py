"""What a cloud of real processes does while something that it stands on is away, and after."""
