"""Many pairs in, files out: what they are called, what is in them, and how a batch that was killed goes on."""
