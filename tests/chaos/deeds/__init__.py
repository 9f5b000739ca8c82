"""What people do with a cloud."""
