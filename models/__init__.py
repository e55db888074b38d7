"""Base functions f: each an `nn.Module` that maps a batch of inputs to a batch of outputs, row by row."""
