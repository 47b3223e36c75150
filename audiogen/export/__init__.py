"""Presets for other hosts: sampled (SFZ), as an ONNX graph, and as TorchScript for nn~."""
