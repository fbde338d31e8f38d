"""Networks of other tools, in and out.

In: a reader (`onnx_graph`, `keras_file`, `torch_module`) turns a file or a module into a `source`,
which is what the other tool computes, operation by operation; `folding` makes an integer network of
it, exactly where that is possible; `agreement` runs both and compares. `importing` joins them.

Out: `qonnx_export` and `c_export` write a network for other tools and for other machines.
"""
