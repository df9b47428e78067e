"""TAO's experiment specs: their keys, each declared once, and what they mean in this package's own words.

PyYAML is imported where a file is read; nothing here needs torch.
"""
