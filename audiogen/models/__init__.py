"""The networks. Each is one file; `config` has their sizes and the shapes of their tensors."""
