"""`Form`: the files and text fields of a multipart body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from roadworthy.problems import ValidationFailed, field_errors, names_of
from roadworthy.uploads.stored import Stored

__all__ = ["Form"]

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of a body, in the order in which they were sent."""

    files: tuple[Stored, ...]
    fields: Mapping[str, tuple[str, ...]]
    """The values of each field: a name may be sent more than once."""

    def read(self, model: type[M]) -> M:
        """Return the fields as a model; a name that was sent several times is a list.

        Raises:
            ValidationFailed: 422. The fields do not fit the model.
        """
        given: dict[str, Any] = {
            name: values[0] if len(values) == 1 else list(values)
            for name, values in self.fields.items()
        }
        try:
            return model.model_validate(given)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
            names = names_of(model)
            found = field_errors([cast("Any", e) for e in errors], names=names)
            raise ValidationFailed(errors=found) from error
