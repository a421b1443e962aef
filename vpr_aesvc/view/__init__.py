"""The page of ``vpr view``: a map, runs laid over it, and each answer with its pictures, from a local server or as one file."""
