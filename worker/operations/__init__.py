"""The operations: each module of this folder that defines an `Operation` is registered automatically.

To add one, add its module and its test; validation, the catalog and the documentation follow from the class.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Union

from worker.operations.base import Operation

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

OPERATIONS: dict[str, type[Operation]] = {
    str(operation.__struct_config__.tag): operation
    for operation in sorted(Operation.__subclasses__(), key=lambda operation: operation.__name__)
}
"""Name -> class, in alphabetical order."""

if TYPE_CHECKING:
    AnyOperation = Operation
else:
    # The union by which msgspec decodes an operation by its tag.
    AnyOperation = Union[tuple(OPERATIONS.values())]  # noqa: UP007
