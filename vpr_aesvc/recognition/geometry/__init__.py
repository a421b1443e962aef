"""Geometry: key points, verification, relative pose."""
