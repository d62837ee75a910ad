"""What the graph of a SavedModel may do: compute, from a folder of its own.

A graph from a stranger is a program. TensorFlow runs whatever operation it names, among
them those that read and write any file, open connections and call Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from landslide_tf.errors import ModelError

if TYPE_CHECKING:
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# TensorFlow calls an operation stateful for its variables, its chance and its tables,
# and for whatever it does outside the graph: these are the harmless ones.
_STATEFUL = re.compile(
    r"VarHandleOp|VarIsInitializedOp|VariableShape|ResourceGather(Nd)?"
    r"|(Read|Assign|AssignAdd|AssignSub)VariableOp|StatefulPartitionedCall"
    r"|If|While|Case|Assert|(Anonymous)?HashTable(V2)?|InitializeTableV2"
    r"|LookupTable(Find|Size|Import|Export|Insert|Remove)V2|(Mutable)?HashTableV2"
    r"|Random(Uniform|UniformInt|StandardNormal|Shuffle|Gamma|PoissonV2)"
    r"|TruncatedNormal|Multinomial|StatelessRandomGet(Alg|KeyCounter|KeyCounterAlg)"
    r"|Stateful(Uniform|UniformInt|UniformFullInt|StandardNormalV2|TruncatedNormal)"
    r"|TensorArray(Read|Write|Gather|Scatter|Size|Concat|Split|Close)?V3"
)
# Not stateful to TensorFlow, and yet not of the graph alone.
_OUTSIDE = re.compile(
    r".*(Dataset|Summary|PyFunc|CustomCall|TPU|Tpu|Checkpoint).*|Reader.*|Debug.*"
    r"|ReadFile|WriteFile|MatchingFiles|InitializeTableFromTextFile|ImmutableConst"
    r"|(Save|Restore).*|Print.*|_.*"
)


def check_graph(path: Path) -> None:
    """Refuses a SavedModel that does anything but compute.

    Args:
        path: Its `saved_model.pb`.

    Raises:
        ModelError: If it has an operation that reads or writes files, reaches the
            network, calls Python or is unknown, or names a file out of its folder.
    """
    for graph in meta_graphs(path):
        for asset in graph.asset_file_def:
            name = PurePosixPath(asset.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in asset.filename:
                raise ModelError(
                    f"`{path.parent}` is refused: it names `{asset.filename}`, which "
                    "lies out of its folder."
                )
        for operation in sorted({n.op for n in nodes_of(graph, _saver(graph))}):
            if not _is_harmless(operation, graph):
                raise ModelError(
                    f"`{path.parent}` is refused: its operation `{operation}` may do "
                    "more than compute; take a model that `landslide-tf export` wrote."
                )


def meta_graphs(path: Path) -> Iterable[MetaGraphDef]:
    """Reads the graphs of a `saved_model.pb` without loading them."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    return saved.meta_graphs


def nodes_of(graph: MetaGraphDef, without: Iterable[str] = ()) -> Iterator[NodeDef]:
    """Yields the operations of a graph and of its functions but some."""
    yield from graph.graph_def.node
    for function in graph.graph_def.library.function:
        if function.signature.name not in without:
            yield from function.node_def


def _is_harmless(name: str, graph: MetaGraphDef) -> bool:
    from tensorflow.python.framework import op_def_registry

    if any(f.signature.name == name for f in graph.graph_def.library.function):
        return True  # a call, whose operations are asked for themselves
    known = op_def_registry.get(name)
    if known is None or _OUTSIDE.fullmatch(name):
        return False
    return not known.is_stateful or bool(_STATEFUL.fullmatch(name))


def _saver(graph: MetaGraphDef) -> set[str]:
    """Returns the functions that save and restore variables, if nothing else runs them.

    TensorFlow calls them with the folder of the model.
    """
    saver = graph.saver_def
    ends = {saver.save_tensor_name.split(":")[0], saver.restore_op_name}
    for signature in graph.signature_def.values():
        ends -= {v.name.split(":")[0] for v in signature.outputs.values()}
    own: set[str] = set()
    others: set[str] = set()
    for node in graph.graph_def.node:
        (own if node.name in ends else others).update(_calls(node))
    for function in graph.graph_def.library.function:
        others.update(name for node in function.node_def for name in _calls(node))
    return own - others


def _calls(node: NodeDef) -> Iterator[str]:
    yield node.op
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            yield function.name
