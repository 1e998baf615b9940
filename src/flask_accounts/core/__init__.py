"""The small core: pipelines and seams. It knows no feature by name."""
