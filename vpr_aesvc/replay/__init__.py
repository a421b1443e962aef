"""Recognizes a whole run in a map and writes the results as a bag."""
