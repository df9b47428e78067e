"""Pairs with ground truth in, figures and a report page out; what runs the engines is elsewhere (``tools/``)."""
