"""PyTorch on several devices of one machine, a process each, to train one model."""
