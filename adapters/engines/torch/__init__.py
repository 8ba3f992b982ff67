"""PyTorch in process, on the CPU, CUDA or ROCm."""
