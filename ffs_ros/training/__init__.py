"""Training of the network: a spec in, checkpoints and a loss curve out. Needs the extra ``train``."""
