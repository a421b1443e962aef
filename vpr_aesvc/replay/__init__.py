"""A run recognized in a map, and written as a bag."""
