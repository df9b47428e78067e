"""The network as an ONNX graph, written node by node from the checkpoint's arrays. Needs NumPy and onnx, not torch.

``model`` is the method; the other files are its steps. What can be computed from the weights alone (norms and scales
folded into convolutions, gates merged) is computed while the graph is written.
"""
